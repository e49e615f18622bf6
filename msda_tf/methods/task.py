"""What the trainer trains here: one network of a run, on its sources and targets, by the configuration's method."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from msda_tf import methods
from msda_tf.config import TrainConfig
from msda_tf.config.branches import MAX_MERGE, NetworkPlan, images_per_step
from msda_tf.config.inputs import image_mean
from msda_tf.data import pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.evaluation import cross_source, pictures, protocol
from msda_tf.inference import scoring
from msda_tf.inference.held_out import HeldOut
from msda_tf.inference.members import Inference
from msda_tf.inference.merge import CALIBRATED, shares_of
from msda_tf.inference.networks import build_segmenter, member
from msda_tf.inference.unlabelled import Unlabelled
from msda_tf.methods import METHODS, class_floor
from msda_tf.methods.batches import Batches
from msda_tf.training import graph_cost, memory, replicas
from msda_tf.training.trainer import Evaluation

_SHARE_OF_GPU = 0.7
"""Of a GPU's memory that a step may take by its estimate, which does not count what libraries work with."""


class SegmentationTask:
    """One network's data, step and evaluation (see `msda_tf.training.trainer.Task`).

    Args:
      config: of the run.
      network: which of its networks.
      manifests: of the sources and targets, by name.
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
        self.config, self.network, self.strategy = config, network, strategy
        self.name = network.name
        self.targets = [manifests[name] for name in config.targets]
        self.scored = [target for target in self.targets if target.evaluation_split is not None]
        self.classes = self.targets[0].classes
        with strategy.scope():
            self.segmenter = build_segmenter(config, network, len(self.classes))
            self.method = methods.make(
                config.method, config=config, segmenter=self.segmenter, feeds=network.feeds, strategy=strategy
            )
        self._seen: dict | None = None
        sources = [manifests[name] for name in config.sources]
        self._pixels_of_sources = [source.splits[source.training_split].class_pixels for source in sources]
        self._in_sources = np.any(self._pixels_of_sources, axis=0)
        self._step = replicas.step_on_all(self.method.step, strategy)
        self._undecided = config.passes == "auto" and config.norm != "adaptsegnet"
        self.checkpointables = {"segmenter": self.segmenter} | self.method.checkpointables
        self._batches = Batches(config=config, network=network, manifests=manifests, strategy=strategy, corrupt=corrupt)
        branches = {branch: branch for branch in network.branches}
        of_sources = {"config": config, "network": network, "manifests": manifests}
        self.held_out = HeldOut(**of_sources, segmenter=self.method.serves)
        self._step_number, self._of_teacher = 0, None
        if METHODS[config.method].teacher and config.pseudo_merge in CALIBRATED:
            teacher = self.method.teacher.network
            served = self.method.serves is teacher
            self._of_teacher = self.held_out if served else HeldOut(**of_sources, segmenter=teacher)
        # Rules that go by a table of other sources get theirs when training is over.
        rule = "mean-probability" if config.merge in CALIBRATED else config.merge

        def inference(target: Manifest) -> Inference:
            mean = image_mean(config, target)
            members = [member(config, self.method.serves, mean=mean, branches=branches)]
            return Inference(members, rule=rule, merge_at=config.merge_at)

        # A function for each target, for each has its own mean.
        self._label_maps = {
            target.name: tf.function(inference(target).label_maps, reduce_retracing=True, autograph=False)
            for target in self.scored
        }
        self._unlabelled = {target.name: Unlabelled(inference(target)) for target in self.targets}

    def batches(self, first_step: int) -> Iterator[dict]:
        """Batches of the method's step, from any step on, with the images' names under "names"."""
        self._step_number = first_step
        return self._batches.starting_at(first_step)

    def blank_batch(self) -> dict:
        """A batch of black images in the largest sizes that a step sees."""
        return self._batches.blank()

    def begin(self) -> None:
        """To be called before the first step, when starting weights are there: all networks have the same."""
        if METHODS[self.config.method].teacher:
            self.method.begin()
            if self.method.teacher.floor is not None:
                shares = class_floor.source_shares(self._pixels_of_sources)
                self.method.teacher.floor.floors.assign(self.config.pseudo_floor * shares)

    def train_step(self, batch: dict) -> dict[str, tf.Tensor]:
        """Runs one step on a batch of `batches`: losses and norms, float32 scalars at the weights before it."""
        self._weigh_branches()
        self._decide(batch)
        self._seen = {"sources": batch["sources"], "target": batch["target"]}
        metrics = self._step(self._seen)
        self._step_number += 1
        return {self._named(name): value for name, value in metrics.items() if self._is_told(name)}

    def _weigh_branches(self) -> None:
        """Every so many steps: how the teacher's branches do on held-out images, for the merge of its pseudo-labels."""
        if self._of_teacher is None or self._step_number % self.config.pseudo_merge_every:
            return
        calibrations = cross_source.calibrations(self._of_teacher.cells())
        self.method.teacher.shares.set(
            shares_of(self.config.pseudo_merge, calibrations, self.network.branches, option="pseudo_merge")
        )

    def _is_told(self, metric: str) -> bool:
        """Whether it is worth a curve: classes that no source shows cannot be learned."""
        _, _, number = metric.rpartition("/")
        return not number.isdecimal() or self._in_sources[int(number)]

    def _named(self, metric: str) -> str:
        """A metric's name, with its class's own instead of a number."""
        kind, _, number = metric.rpartition("/")
        return f"{kind}/{self.classes.names[int(number)]}" if number.isdecimal() else metric

    def step_graph(self, batch: dict) -> tf.Graph:
        """What TensorFlow is given to run for a batch of `batches` (traced now, if this is the first)."""
        self._decide(batch)
        return self._traced(batch)

    def step_bytes(self, batch: dict) -> int:
        """Estimate of what a step's tensors take at their peak on each device, beside the variables."""
        return self._step_bytes(self.step_graph(batch))

    def _step_bytes(self, graph: tf.Graph) -> int:
        return graph_cost.peak_bytes(graph) // self.strategy.num_replicas_in_sync

    def _traced(self, batch: dict) -> tf.Graph:
        return self._step.get_concrete_function({"sources": batch["sources"], "target": batch["target"]}).graph

    def _decide(self, batch: dict) -> None:
        """With passes=auto: has the domains pass together if that fits the GPU. CPUs are no faster for it."""
        limit = memory.gpu_limit() if self._undecided else None
        self._undecided = False
        if limit is None:
            return
        self.method.together = True
        needed = self._step_bytes(self._traced(batch)) + self.variable_bytes()
        self.method.together = needed < _SHARE_OF_GPU * limit
        said = "together" if self.method.together else "apart"
        logging.info("passes=%s: together a step takes %.1f of %.1f GiB", said, needed / 2**30, limit / 2**30)
        if not self.method.together:
            self._step = replicas.step_on_all(self.method.step, self.strategy)

    def variable_bytes(self) -> int:
        """Of the weights and what optimizers and the like keep for them, on each device."""
        kept = self.method.checkpointables.values()
        variables = [*self.segmenter.variables, *(variable for each in kept for variable in each.variables)]
        return sum(variable.value.shape.num_elements() * variable.value.dtype.size for variable in variables)

    def image_names(self, batch: dict) -> list[str]:
        """Names of the batch's images."""
        return replicas.image_names(batch["names"], self.strategy)

    def images_per_step(self) -> int:
        """Images of all domains that a step sees."""
        return images_per_step(self.config, self.network)

    def learning_rates(self, step: int) -> dict[str, float]:
        """Learning rates by name."""
        return self.method.learning_rates(step)

    def headline(self, metrics: dict[str, float]) -> str:
        """The method's main losses at the output level, averaged over branches."""
        return replicas.mean_losses(metrics, self.method.headline)

    def evaluate(self) -> Evaluation:
        """Scores every branch and their merge on a part of the labelled test images of each target that has any.

        With several targets, `miou/BRANCH` is the mean of their scores `miou/TARGET/BRANCH`: never that of the pool.
        Where no target has labels, or where the checkpoint is to be chosen without labels, it estimates what they are
        worth.
        """
        found = self._scores() if self.scored else Evaluation(scalars={}, kept=self._of_self_training())
        if not self.config.held_out or (self.scored and self.config.select != "unlabelled"):
            return found
        estimates = self._estimates()
        scalars = {f"estimate/{name}": value for name, value in estimates.items()}
        shown = MAX_MERGE if MAX_MERGE in estimates else self.network.branches[0]
        return dataclasses.replace(found, scalars=found.scalars | scalars, unlabelled=estimates.get(shown))

    def _scores(self) -> Evaluation:
        scores, drawn = {}, {}
        for target in self.scored:
            matrices, panel = self._score(target)
            scores[target.name] = {name: protocol.score(m, self.classes).miou_all for name, m in matrices.items()}
            drawn["panel" if len(self.config.targets) == 1 else f"panel/{target.name}"] = panel
        branches = next(iter(scores.values()))
        mean = {name: sum(own[name] for own in scores.values()) / len(scores) for name in branches}
        scalars = {f"miou/{name}": value for name, value in mean.items()}
        if len(self.config.targets) > 1:
            scalars |= {f"miou/{of}/{name}": value for of, own in scores.items() for name, value in own.items()}
        best = mean[MAX_MERGE if MAX_MERGE in mean else self.network.branches[0]]
        return Evaluation(scalars=scalars, pictures=drawn, kept=self._of_self_training(), score=best)

    def _score(self, target: Manifest) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """(confusion matrix int64 `[C, C + 1]` by label map, panel of the first image) of a target."""
        corrupt, drawn = CorruptRecords(limit=0), []
        images = pipeline.evaluation_images(
            target, target.evaluation_split, limit=self.config.evaluate_images or None, corrupt=corrupt
        )

        def draw(example: scoring.Scored):
            if not drawn:
                maps = {"ground truth": example.label, **example.maps}
                drawn.append(pictures.panel(example.image, maps, self.classes))

        label_maps = self._label_maps[target.name]
        matrices = scoring.score(label_maps, images, classes=len(self.classes), corrupt=corrupt, on_scored=draw)
        return matrices, drawn[0]

    def _of_self_training(self) -> dict[str, np.ndarray]:
        """A panel of what a teacher made of the last batch."""
        if self._seen is None or not METHODS[self.config.method].teacher:
            return {}
        batch = tf.nest.map_structure(lambda value: self.strategy.experimental_local_results(value)[0], self._seen)
        shown = {name: value.numpy() for name, value in self.method.shown(batch).items()}
        image, photos, maps = shown.pop("target"), {}, {}
        for name, value in shown.items():
            if value.dtype == np.uint8:
                maps[name] = value
            elif value.ndim == 3:
                photos[name] = value.round().clip(0, 255).astype(np.uint8)
            else:
                photos[name] = np.repeat((255 * value).round().astype(np.uint8)[..., None], 3, axis=-1)
        return {"self-training": pictures.panel(image, maps, self.classes, photos)}

    def _estimates(self) -> dict[str, float]:
        """Estimated mIoU of every branch and their merge, on the targets' images without labels, averaged over targets;
        empty where nothing is held out."""
        cells = self.held_out.cells()
        calibrations = cross_source.calibrations(cells)
        if set(calibrations) != set(self.network.branches):
            return {}
        corrupt = CorruptRecords(limit=self.config.corrupt_limit)
        limit = self.config.evaluate_images or None
        found = []
        for target in self.targets:
            split = target.evaluation_split or target.training_split
            images = pipeline.evaluation_images(target, split, limit=limit, labelled=False, corrupt=corrupt)
            unlabelled = self._unlabelled[target.name]
            found.append(unlabelled.estimate(images, calibrations=calibrations, cells=cells, corrupt=corrupt))
        return {name: sum(own[name].miou for own in found) / len(found) for name in found[0]}
