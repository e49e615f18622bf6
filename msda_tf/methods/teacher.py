"""The teacher of self-training: the moving average of a whole network with all its branches, and what it says."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.inference import merge
from msda_tf.methods import moving_average, pseudo_labels
from msda_tf.methods.class_floor import ClassFloor
from msda_tf.models.layers.resize import upsample
from msda_tf.models.preprocess import centred
from msda_tf.models.segmenter import MultiSourceSegmenter

_SURENESS_DECAY = 0.99


class State(keras.layers.Layer):
    """What self-training remembers besides weights.

    Attributes:
      steps: finished, int64 `[]`.
      sureness: mean confidence of the pixels that the teacher gave each class lately, float32 `[C]`.
    """

    def __init__(self, classes: int):
        super().__init__(name="state", dtype="float32")
        options = {"trainable": False, "initializer": "zeros"}
        self.steps = self.add_weight(name="steps", shape=(), dtype="int64", **options)
        self.sureness = self.add_weight(name="sureness", shape=(classes,), dtype="float32", **options)
        self.built = True


class Shares(keras.layers.Layer):
    """The branches' parts in a merge that goes by held-out images (`msda_tf.inference.merge.Share`); at first equal.

    Attributes:
      temperatures: by which logits are divided, float32 `[S]`.
      by_class: weights of the branches' probabilities, float32 `[S, C]`; those of a class add up to 1.
    """

    def __init__(self, branches: int, classes: int):
        super().__init__(name="shares", dtype="float32")
        options = {"trainable": False, "dtype": "float32"}
        self.temperatures = self.add_weight(name="temperatures", shape=(branches,), initializer="ones", **options)
        equal = keras.initializers.Constant(1 / branches)
        self.by_class = self.add_weight(name="weights", shape=(branches, classes), initializer=equal, **options)
        self.built = True

    def set(self, parts: Sequence[merge.Share]) -> None:
        """Takes others, in the order of the branches."""
        self.temperatures.assign([part.temperature for part in parts])
        self.by_class.assign([part.weights for part in parts])

    def parts(self) -> list[merge.Share]:
        """What the merge takes."""
        temperatures, weights = (tf.unstack(each.value) for each in (self.temperatures, self.by_class))
        return [merge.Share(*own) for own in zip(temperatures, weights, strict=True)]


class Teacher:
    """Follows a network, and labels the target for it.

    Norm statistics that change are averaged like weights, and dropout is off: what the teacher says does not depend on
    the other images of a batch. (The published code normalises by the batch's own statistics; with frozen norms it is
    the same.)

    Args:
      config: decay, threshold and rules.
      student: the network to follow.
      network: another one of its kind, without discriminators, that becomes the teacher.
      state: see `State`.
      shares: of the network's branches, in their order, with a `pseudo_merge` that goes by held-out images.
      floor: under the classes' shares, with `pseudo_floor`.
      strategy: in whose scope all of them were made.
    """

    def __init__(self, config: TrainConfig, student: MultiSourceSegmenter, network: MultiSourceSegmenter, state: State,
                 strategy: tf.distribute.Strategy, shares: Shares | None = None,
                 floor: ClassFloor | None = None):  # fmt: skip
        self.config, self.network, self.state, self._strategy = config, network, state, strategy
        self.shares, self.floor = shares, floor
        self._by_path = {variable.path: variable for variable in student.variables}
        # What is not trained is constant but for BatchNorm's statistics, where they are updated.
        self._averages = [each for each in network.variables if each.trainable or config.norm == "adaptsegnet"]

    def begin(self) -> None:
        """Becomes a copy of the student: to be called before the first step, when starting weights are there."""
        moving_average.copy(self.network.variables, self._of_student(self.network.variables))

    def follow(self, when: str) -> None:
        """Moves towards the student if this is the moment for it: "before" or "after" the student's step."""
        if when == self.config.ema_when:
            decay = moving_average.decay_at(self.state.steps.value, self.config.ema_decay)
            moving_average.follow(self._averages, self._of_student(self._averages), decay)

    def _of_student(self, variables):
        return [self._by_path[variable.path] for variable in variables]

    def label(self, target: dict) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Pseudo-labels of a replica's target images, with weights that all replicas' images decide on.

        Args:
          target: `image` uint8 `[B, H, W, 3]`, `mean` float32 `[3]`, and perhaps `inside` uint8 `[B, H, W]`, 0 where
            pixels are not to count, and `context` uint8 `[B, H_c, W_c, 3]` with `window` float32 `[B, 4]`: the whole of
            each image, and where in it `image` lies (`msda_tf.data.crops.window`).

        Returns:
          `label` uint8 `[B, H, W]`, `weight` and `confidence` float32 `[B, H, W]`; and this replica's share of metrics.
        """
        config, classes = self.config, self.network.num_classes
        labels, confidence = self.predict(target)
        sure = tf.reduce_sum(tf.cast(confidence >= config.pseudo_threshold, tf.float32))
        counts, sums = pseudo_labels.class_sums(labels, confidence, classes)
        replicas = self._strategy.num_replicas_in_sync
        if replicas > 1:
            sure, counts, sums = tf.distribute.get_replica_context().all_reduce("SUM", [sure, counts, sums])
        pixels = tf.reduce_sum(counts)
        sureness = self._remember(counts, sums)
        weight = self.weigh(target, labels, confidence, sureness=sureness, share=sure / pixels)
        metrics = {"pseudo_label/sure": sure / pixels / replicas}
        for c in range(classes):
            metrics[f"pseudo_label_share/{c}"] = counts[c] / pixels / replicas
            metrics[f"pseudo_label_sureness/{c}"] = sureness[c] / replicas
        if self.floor is not None:
            self.floor.follow(counts / pixels)
        if self.shares is not None:
            means = tf.reduce_mean(self.shares.by_class.value, axis=1)
            for branch, mean in zip(self.network.branches, tf.unstack(means), strict=True):
                metrics[f"pseudo_label_weight/{branch}"] = mean / replicas
        return {"label": labels, "weight": weight, "confidence": confidence}, metrics

    def predict(self, target: dict) -> tuple[tf.Tensor, tf.Tensor]:
        """The merged prediction for target images: trainIds uint8 and confidence float32, `[B, H, W]` each."""
        scores = self._scores(target["image"], target["mean"])
        if "context" in target:
            whole = self._scores(target["context"], target["mean"])
            seen = tf.image.crop_and_resize(whole, target["window"], tf.range(whole.shape[0]), scores.shape[1:3])
            scores = (scores + seen) / 2
        return pseudo_labels.labels_and_confidence(scores, self.config.pseudo_merge)

    def _scores(self, images: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        """The branches' small maps, merged, with the classes' prices, and up-sampled: float32 `[B, H, W, C]`."""
        config, level = self.config, self.config.merge_level
        inputs = centred(images, mean)
        branches, parts = self.network.branches, None if self.shares is None else self.shares.parts()
        maps = self.network(inputs, branches=branches, levels=(level,), training=False)[level]
        maps = [tf.cast(maps[branch], tf.float32) for branch in branches]
        scores = merge.merge_scores(maps, config.pseudo_merge, parts)
        if self.floor is not None:
            scores = self.floor.priced(scores, config.pseudo_merge)
        return upsample(scores, images.shape[1:3], align_corners=config.align_corners)

    def weigh(self, target, labels, confidence, *, sureness: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        """Weights float32 `[B, H, W]` of what `predict` gave; see `msda_tf.methods.pseudo_labels.weights`."""
        config = self.config
        thresholds = tf.fill([self.network.num_classes], config.pseudo_threshold)
        if config.pseudo_weight == "class":
            thresholds = pseudo_labels.class_thresholds(sureness, config.pseudo_threshold)
        weight = pseudo_labels.weights(confidence, labels, how=config.pseudo_weight, thresholds=thresholds, share=share)
        if "inside" in target:
            weight *= tf.cast(target["inside"], tf.float32)
        return weight * tf.cast(self.state.steps.value >= config.self_training_start, tf.float32)

    def _remember(self, counts, sums) -> tf.Tensor:
        """The classes' mean confidence, float32 `[C]`, with this batch's; a class that it does not show keeps its."""
        old = self.state.sureness.value
        decay = moving_average.decay_at(self.state.steps.value, _SURENESS_DECAY)
        mean = tf.math.divide_no_nan(sums, counts)
        new = tf.where(counts > 0, tf.where(old > 0, moving_average.averaged(old, mean, decay), mean), old)
        moving_average.assign([(old, new)])
        return new

    def count(self) -> None:
        """Ends a step."""
        steps = self.state.steps.value
        moving_average.assign([(steps, steps + 1)])
