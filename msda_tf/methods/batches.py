"""The batches of one network's training: from every source that a step needs, and from a target."""

import math
from collections.abc import Iterator

import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.config.branches import NetworkPlan
from msda_tf.config.inputs import compares_at_input, crop_size, image_mean, input_size
from msda_tf.data import held_out, pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.crops import Crops
from msda_tf.data.manifest import Manifest
from msda_tf.data.order import PooledSchedule
from msda_tf.data.rare_classes import RareSampling
from msda_tf.methods import METHODS
from msda_tf.training import replicas


class Batches:
    """Makes the batches that `msda_tf.methods.contract.Method.step` takes, spread over the devices.

    Args:
      config: of the run.
      network: whose sources a step sees.
      manifests: of the sources and targets, by name.
      strategy: the devices.
      corrupt: counts damaged records.
    """

    def __init__(
        self,
        *,
        config: TrainConfig,
        network: NetworkPlan,
        manifests: dict[str, Manifest],
        strategy: tf.distribute.Strategy,
        corrupt: CorruptRecords,
    ):
        self._config, self._network, self._strategy, self._corrupt = config, network, strategy, corrupt
        self._sources = [manifests[name] for name in config.sources]
        self._targets = [manifests[name] for name in config.targets]
        self._crop = crop_size(config, manifests)

    def starting_at(self, first_step: int) -> Iterator[dict]:
        """The batches of steps first_step, first_step + 1, ...: the same whatever the first is.

        Beside "sources" and "target" they hold the images' names under "names". Targets differ in size and mean, so
        each step's batch comes from one of them.
        """
        config, corrupt = self._config, self._corrupt
        # Every source has its own counter: in a pool, it advances only when the source's turn comes.
        schedule = self._schedule()
        before = schedule.batches_before(first_step) if schedule else [first_step] * len(self._sources)
        streams = [
            iter(self._stream(manifest, labelled=True, first_batch=int(first), stream=f"source/{manifest.name}"))
            for manifest, first in zip(self._sources, before, strict=True)
        ]
        means = [tf.constant(image_mean(config, manifest), tf.float32) for manifest in self._sources]
        target_schedule = self._target_schedule()
        before = target_schedule.batches_before(first_step) if target_schedule else [first_step]
        targets = [
            iter(self._stream(manifest, labelled=False, first_batch=int(first), stream=stream))
            for (stream, manifest), first in zip(self._target_streams(), before, strict=True)
        ]
        target_means = [tf.constant(image_mean(config, manifest), tf.float32) for manifest in self._targets]
        step = first_step
        while True:
            chosen = [schedule.data_set(step)] if schedule else range(len(streams))
            with corrupt.raising():
                sources = [(next(streams[number]), means[number]) for number in chosen]
                number = target_schedule.data_set(step) if target_schedule else 0
                own, target_mean = next(targets[number]), target_means[number]
            yield {
                "sources": [
                    {"image": images["image"], "label": images["label"], "mean": mean} for images, mean in sources
                ],
                "target": {name: maps for name, maps in own.items() if name != "filename"} | {"mean": target_mean},
                "names": [images["filename"] for images, _ in sources] + [own["filename"]],
            }
            step += 1

    def blank(self) -> dict:
        """Black images in the largest sizes that a step sees: what a step costs depends on sizes alone."""
        sources = [self._blank(manifest, labelled=True) for manifest in self._sources]
        if self._network.pooled:
            sources = [max(sources, key=_pixels)]
        target = max((self._blank(manifest, labelled=False) for manifest in self._targets), key=_pixels)
        share = self._config.batch_size // self._strategy.num_replicas_in_sync

        def images(sizes: dict) -> dict:
            dtypes = {"window": tf.float32}
            maps = {name: tf.zeros([share, *size], dtypes.get(name, tf.uint8)) for name, size in sizes.items()}
            spread = self._strategy.experimental_distribute_values_from_function(lambda context: maps)
            # What comes from a data set is wrapped for several devices alone: a step would be traced twice.
            local = {name: self._strategy.experimental_local_results(value) for name, value in spread.items()}
            own = {name: value[0] if len(value) == 1 else spread[name] for name, value in local.items()}
            return {**own, "mean": tf.zeros([3])}

        return {"sources": [images(sizes) for sizes in sources], "target": images(target)}

    def _blank(self, manifest: Manifest, *, labelled: bool) -> dict[str, tuple[int, ...]]:
        """Sizes of a data set's images and of what comes with them."""
        image, label = (self._crop, self._crop) if self._crop else self._sizes(manifest)
        sizes = {"image": (*image, 3)}
        if labelled:
            sizes["label"] = label
            return sizes
        if self._margins:
            sizes["inside"] = image
        if context := self._context(manifest):
            sizes |= {"context": (*context, 3), "window": (4,)}
        return sizes

    def _sizes(self, manifest: Manifest) -> tuple[tuple[int, int], tuple[int, int]]:
        """(height, width) of images and of labels, before any crop."""
        size = input_size(self._config, manifest)
        return size, size if compares_at_input(self._config) else (manifest.height, manifest.width)

    @property
    def _margins(self) -> tuple[float, float, float, float] | None:
        """Of the target's images, if pseudo-labels weigh nothing in them."""
        config = self._config
        return config.pseudo_margins if METHODS[config.method].teacher and any(config.pseudo_margins) else None

    def _context(self, manifest: Manifest) -> tuple[int, int] | None:
        """(height, width) in which the teacher sees the whole of a target's images, if it does."""
        part = self._config.pseudo_context
        if part is None or not METHODS[self._config.method].teacher:
            return None
        height, width = (max(1, round(side * part)) for side in self._sizes(manifest)[0])
        return height, width

    def _schedule(self) -> PooledSchedule | None:
        if not self._network.pooled:
            return None
        config = self._config
        sizes = [manifest.splits[manifest.training_split].examples for manifest in self._sources]
        sizes = [size - held_out.count(size, config.held_out) for size in sizes]
        return PooledSchedule(sizes, batch_size=config.batch_size, sampling=config.sampling, seed=config.seed)

    def _target_streams(self) -> list[tuple[str, Manifest]]:
        """Each target with the name of its stream: "target", as ever, if it is the only one."""
        if len(self._targets) == 1:
            return [("target", self._targets[0])]
        return [(f"target/{manifest.name}", manifest) for manifest in self._targets]

    def _target_schedule(self) -> PooledSchedule | None:
        if len(self._targets) == 1:
            return None
        config = self._config
        sizes = [pipeline.training_examples(each, exclude_evaluation=config.exclude_test) for each in self._targets]
        # A stream of its own: else each source would always meet the same target.
        return PooledSchedule(
            sizes, batch_size=config.batch_size, sampling=config.target_sampling, seed=config.seed, stream="targets"
        )

    def _stream(self, manifest: Manifest, *, labelled: bool, first_batch: int, stream: str):
        config = self._config
        size, label_size = self._sizes(manifest)
        crops = rare = None
        if self._crop is not None:
            least = config.rare_crop_ratio * config.rare_min_pixels
            crops = Crops(self._crop, config.random_scale, config.crop_max_share, least)
        if labelled and config.source_images == "rare-classes":
            rare = RareSampling(config.rare_temperature, config.rare_min_pixels)

        def dataset(worker: int, workers: int):
            return pipeline.training_batches(
                manifest,
                labelled=labelled,
                image_size=size,
                label_size=label_size,
                batch_size=config.batch_size,
                seed=config.seed,
                stream=stream,
                first_batch=first_batch,
                flip=config.flip,
                crops=crops,
                margins=None if labelled else self._margins,
                context=None if labelled else self._context(manifest),
                rare=rare,
                exclude_evaluation=config.exclude_test and not labelled,
                held_out=config.held_out if labelled else 0,
                worker=worker,
                workers=workers,
                corrupt=self._corrupt,
            )

        return replicas.distribute(dataset, self._strategy, batch_size=config.batch_size)


def _pixels(sizes: dict[str, tuple[int, ...]]) -> int:
    return sum(map(math.prod, sizes.values()))
