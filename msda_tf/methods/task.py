"""What the trainer trains here: one network of a run, on its sources and target."""

from collections.abc import Iterator

import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.config.branches import NetworkPlan
from msda_tf.config.inputs import image_mean, input_size
from msda_tf.data import pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.data.order import PooledSchedule
from msda_tf.evaluation import confusion, pictures, protocol
from msda_tf.evaluation.metrics import MAX_MERGE
from msda_tf.inference.members import Inference
from msda_tf.inference.networks import build_segmenter, member
from msda_tf.methods.adversarial import GanStep
from msda_tf.training import replicas
from msda_tf.training.optimizers import make_optimizer, poly_decay, with_loss_scale
from msda_tf.training.trainer import Evaluation


class SegmentationTask:
    """One network's data, step and evaluation (see `msda_tf.training.trainer.Task`).

    Args:
      config: of the run.
      network: which of its networks.
      manifests: of the sources and the target, by name.
      strategy: the devices to train on.
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
        self.config, self.network, self.strategy, self.corrupt = config, network, strategy, corrupt
        self.name = network.name
        self.sources = [manifests[name] for name in config.sources]
        self.target = manifests[config.target]
        self.classes = self.target.classes
        steps = config.poly_steps or config.steps
        self._generator_lr = poly_decay(config.generator_lr, steps=steps, power=config.poly_power)
        self._discriminator_lr = poly_decay(config.discriminator_lr, steps=steps, power=config.poly_power)
        with strategy.scope():
            self.segmenter = build_segmenter(config, network, len(self.classes))
            heads = {variable.path: config.head_lr_mult for variable in self.segmenter.head_variables}
            self.generator_optimizer = with_loss_scale(
                config.precision,
                make_optimizer(
                    config.optimizer,
                    self._generator_lr,
                    variables=self.segmenter.generator_variables,
                    weight_decay=config.weight_decay,
                    multipliers=heads,
                    momentum=config.momentum,
                ),
                self.segmenter.generator_variables,
            )
            self.discriminator_optimizer = None
            if config.adapt:
                # AdaptSegNet's betas for the discriminators; the generator keeps Adam's own.
                self.discriminator_optimizer = with_loss_scale(
                    config.precision,
                    make_optimizer(
                        "adam",
                        self._discriminator_lr,
                        variables=self.segmenter.discriminator_variables,
                        beta_2=0.99,
                    ),
                    self.segmenter.discriminator_variables,
                )
        self._step = GanStep(
            segmenter=self.segmenter,
            config=config,
            feeds=network.feeds,
            generator_optimizer=self.generator_optimizer,
            discriminator_optimizer=self.discriminator_optimizer,
            strategy=strategy,
        )
        self.checkpointables = {"segmenter": self.segmenter, "generator_optimizer": self.generator_optimizer}
        if config.adapt:
            self.checkpointables["discriminator_optimizer"] = self.discriminator_optimizer
        branches = {branch: branch for branch in network.branches}
        mean = image_mean(config, self.target)
        self.inference = Inference(
            [member(config, self.segmenter, mean=mean, branches=branches)], rule=config.merge, merge_at=config.merge_at
        )
        self._label_maps = tf.function(self.inference.label_maps, reduce_retracing=True)

    def batches(self, first_step: int) -> Iterator[dict]:
        """Batches for `GanStep`, from any step on, with the images' names under "names"."""
        config = self.config
        # Every source has its own counter: in a pool, it advances only when the source's turn comes.
        schedule = self._schedule()
        before = schedule.batches_before(first_step) if schedule else [first_step] * len(self.sources)
        streams = [
            iter(self._stream(manifest, labelled=True, first_batch=int(first), stream=f"source/{manifest.name}"))
            for manifest, first in zip(self.sources, before, strict=True)
        ]
        means = [tf.constant(image_mean(config, manifest), tf.float32) for manifest in self.sources]
        target = iter(self._stream(self.target, labelled=False, first_batch=first_step, stream="target"))
        target_mean = tf.constant(image_mean(config, self.target), tf.float32)
        step = first_step
        while True:
            chosen = [schedule.data_set(step)] if schedule else range(len(streams))
            sources = [(self._next(streams[number]), means[number]) for number in chosen]
            own = self._next(target)
            yield {
                "sources": [
                    {"image": images["image"], "label": images["label"], "mean": mean} for images, mean in sources
                ],
                "target": {"image": own["image"], "mean": target_mean},
                "names": [images["filename"] for images, _ in sources] + [own["filename"]],
            }
            step += 1

    def train_step(self, batch: dict) -> dict[str, tf.Tensor]:
        """Runs one step on a batch of `batches`."""
        return self._step({"sources": batch["sources"], "target": batch["target"]})

    def step_graph(self, batch: dict) -> tf.Graph:
        """What TensorFlow is given to run for a batch of `batches`."""
        return self._step.graph({"sources": batch["sources"], "target": batch["target"]})

    def image_names(self, batch: dict) -> list[str]:
        """Names of the batch's images."""
        return replicas.image_names(batch["names"], self.strategy)

    def images_per_step(self) -> int:
        """Images of all sources and the target in a step."""
        return self.config.batch_size * (len(self.network.feeds) + self.config.adapt)

    def learning_rates(self, step: int) -> dict[str, float]:
        """Learning rates by name."""
        rates = {"learning_rate/generator": float(self._generator_lr(step))}
        if self.config.adapt:
            rates["learning_rate/discriminator"] = float(self._discriminator_lr(step))
        return rates

    def headline(self, metrics: dict[str, float]) -> str:
        """Segmentation, adversarial and discriminator loss of the output level, averaged over branches."""
        return replicas.mean_losses(metrics, {kind: f"{kind}/output/" for kind in ("seg", "adv", "disc")})

    def evaluate(self) -> Evaluation:
        """Scores every branch and their merge on a part of the target's labelled test images."""
        split, config = self.target.evaluation_split, self.config
        matrices, picture = {}, None
        corrupt = CorruptRecords(limit=0)
        images = pipeline.evaluation_images(self.target, split, limit=config.evaluate_images or None, corrupt=corrupt)
        for example in _readable(images, corrupt):
            label = example["label"].numpy()
            maps = self._label_maps(example["image"][None], tf.constant(label.shape))
            maps = {name: value.numpy()[0] for name, value in maps.items()}
            for name, prediction in maps.items():
                counts = confusion.confusion_matrix(
                    label, prediction, classes=len(self.classes), name=example["filename"].numpy().decode()
                )
                matrices[name] = matrices.get(name, 0) + counts
            if picture is None:
                picture = pictures.panel(example["image"].numpy(), {"ground truth": label, **maps}, self.classes)
        miou = {name: protocol.score(matrix, self.classes) for name, matrix in matrices.items()}
        scalars = {f"miou/{name}": scores.miou_all for name, scores in miou.items()}
        best = scalars[f"miou/{MAX_MERGE}" if MAX_MERGE in matrices else f"miou/{self.network.branches[0]}"]
        return Evaluation(scalars=scalars, pictures={"panel": picture}, score=best)

    def _schedule(self) -> PooledSchedule | None:
        if not self.network.pooled:
            return None
        sizes = [manifest.splits[manifest.training_split].examples for manifest in self.sources]
        config = self.config
        return PooledSchedule(sizes, batch_size=config.batch_size, sampling=config.sampling, seed=config.seed)

    def _stream(self, manifest: Manifest, *, labelled: bool, first_batch: int, stream: str):
        config = self.config
        size = input_size(config, manifest)
        label_size = (manifest.height, manifest.width) if config.loss_at == "label" else size

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
                exclude_evaluation=config.exclude_test and not labelled,
                worker=worker,
                workers=workers,
                corrupt=self.corrupt,
            )

        return replicas.distribute(dataset, self.strategy, batch_size=config.batch_size)

    def _next(self, stream):
        with self.corrupt.raising():
            return next(stream)


def _readable(examples, corrupt: CorruptRecords):
    """The examples, with a damaged one's clear error instead of TensorFlow's."""
    with corrupt.raising():
        yield from examples
