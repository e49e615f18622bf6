"""The sources' labels alone: equation 1 summed over levels and branches. Its S-All branch is the paper's No Adapt."""

import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.methods import losses
from msda_tf.methods.domain_pass import GradientSum, HeadLosses, Term, clipped, descend, micro_batches, no_terms
from msda_tf.methods.optimizers import generator_optimizer, learning_rate
from msda_tf.models.layers.resize import upsample
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.training.replicas import compiled


def make(*, config: TrainConfig, segmenter: MultiSourceSegmenter, feeds, strategy) -> "Supervised":
    """The method with the configuration's optimizer (call it inside the strategy's scope)."""
    optimizer = generator_optimizer(config, segmenter)
    return Supervised(config=config, segmenter=segmenter, feeds=feeds, generator_optimizer=optimizer, strategy=strategy)


class Supervised:
    """See `msda_tf.methods.contract.Method`; the target's images are not looked at.

    Args:
      config: lambdas, size of the loss.
      segmenter: the network, with its variables.
      feeds: for each source image of a step, the branches that it trains.
      generator_optimizer: built on the segmenter's variables.
      strategy: the `tf.distribute.Strategy` in whose scope all of them were made.
    """

    headline = {"seg": "seg/output/"}

    def __init__(self, *, config: TrainConfig, segmenter, feeds, generator_optimizer, strategy):
        self.config, self.segmenter, self.feeds, self.strategy = config, segmenter, feeds, strategy
        self.serves = segmenter
        self.generator_optimizer = generator_optimizer
        self.checkpointables = {"generator_optimizer": generator_optimizer}
        self.together = config.passes == "together"
        self._source_loss = SourceLoss(config, segmenter, feeds, strategy)
        self._equation_1 = compiled(self._sums, jit=config.jit)

    def step(self, batch: dict) -> dict[str, tf.Tensor]:
        """The network descends on lambda_seg * L_seg."""
        network, nothing, metrics = self.gradients(batch)
        return metrics | self.descend(network, nothing)

    def gradients(self, batch: dict, *, further=no_terms, on_source_map=None):
        """(network's gradients, no others, metrics) of one replica's batch.

        Args:
          batch: see `msda_tf.methods.contract.Method`.
          further: of a micro-batch, gives the terms that another method adds to this one.
          on_source_map: see `Term.on_map`, for the sources' images.
        """
        # The replicas count their pixels together; what follows is each one's own.
        return self._equation_1(batch, self._source_loss.valid_pixels(batch), further, on_source_map)

    def _sums(self, batch, valid, further, on_source_map):
        total = GradientSum(self.segmenter, self.generator_optimizer, together=self.together)
        for part in micro_batches(batch, self.config.accumulate):
            sources = [
                Term(source, branches, lambda *head: self._source_loss(*head, valid)[0], on_source_map)
                for branches, source in zip(self.feeds, part["sources"], strict=True)
            ]
            total.add([*sources, *further(part)])
        return total.network, [], total.metrics

    def descend(self, network: list, nothing: list) -> dict[str, tf.Tensor]:
        """Applies what `gradients` gave."""
        network = clipped(network, self.generator_optimizer, self.config.clip_norm)
        return descend([("generator", self.generator_optimizer, network, self.segmenter.generator_variables)])

    def pixels(self, labels: tf.Tensor) -> tf.Tensor:
        """See `SourceLoss.pixels`."""
        return self._source_loss.pixels(labels)

    def learning_rates(self, step: int) -> dict[str, float]:
        """Of the generator."""
        return {"learning_rate/generator": float(learning_rate(self.config, self.config.generator_lr)(step))}


class SourceLoss:
    """lambda_seg * L_seg of a source's maps: the part that all methods have in common.

    Args:
      config: lambdas, size of the loss.
      segmenter: the network.
      feeds: for each source image of a step, the branches that it trains.
      strategy: over whose replicas a batch is spread.
    """

    def __init__(self, config: TrainConfig, segmenter: MultiSourceSegmenter, feeds, strategy):
        self._config, self._branches, self._feeds, self._strategy = config, segmenter.branches, feeds, strategy
        self._lambda_seg = {"feature": config.seg_weight_feature, "output": config.seg_weight_output}

    def valid_pixels(self, batch: dict) -> dict[str, tf.Tensor]:
        """Number of pixels that train each branch, over all replicas and micro-batches: float32 scalars."""
        valid = {
            branch: tf.add_n([
                self.pixels(source["label"])
                for feed, source in zip(self._feeds, batch["sources"], strict=True) if branch in feed
            ])
            for branch in self._branches
        }  # fmt: skip
        if self._strategy.num_replicas_in_sync > 1:
            valid = tf.distribute.get_replica_context().all_reduce("SUM", valid)
        return valid

    def pixels(self, labels: tf.Tensor) -> tf.Tensor:
        """What a sum over labels `[B, H, W]` is divided by, float32 scalar: those of a class, or all."""
        if self._config.loss_over == "all":
            return tf.cast(tf.size(labels), tf.float32)
        return losses.valid_pixels(labels)

    def __call__(self, level, branch, logits, source, valid) -> tuple[HeadLosses, tf.Tensor]:
        """Equation 1 for one head, and the logits at the label's size, float32 `[B, H_l, W_l, C]`."""
        size = source["label"].shape[1:3]
        maps = upsample(logits, size, align_corners=self._config.align_corners)
        loss = losses.segmentation_loss(maps, source["label"], valid[branch])
        return HeadLosses(self._lambda_seg[level] * loss, None, {f"seg/{level}/{branch}": loss}), maps
