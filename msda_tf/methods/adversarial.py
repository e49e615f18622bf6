"""The paper's method: equations 4 and 5.

The network minimises, over levels l (feature, output) and branches s,

    sum_l sum_s  lambda_seg_l * L_seg(own source) + lambda_adv_l * L_adv(target)        (eq. 4)

while each discriminator minimises its L_D over maps through which nothing flows back. Equation 5, min over the network
and max over the discriminators, is one step of each at the same weights.
"""

import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.methods import losses
from msda_tf.methods.domain_pass import GradientSum, HeadLosses, Term, clipped, descend, micro_batches, no_terms
from msda_tf.methods.optimizers import discriminator_optimizer, generator_optimizer, learning_rate
from msda_tf.methods.supervised import SourceLoss
from msda_tf.models.layers.resize import upsample
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.training.replicas import compiled


def make(*, config: TrainConfig, segmenter: MultiSourceSegmenter, feeds, strategy) -> "Adversarial":
    """The method with the configuration's optimizers (call it inside the strategy's scope)."""
    return Adversarial(
        config=config,
        segmenter=segmenter,
        feeds=feeds,
        generator_optimizer=generator_optimizer(config, segmenter),
        discriminator_optimizer=discriminator_optimizer(config, segmenter),
        strategy=strategy,
    )


class Adversarial:
    """See `msda_tf.methods.contract.Method`.

    Args:
      config: lambdas, objective, sizes of the losses.
      segmenter: the network and its discriminators, with their variables.
      feeds: for each source image of a step, the branches that it trains.
      generator_optimizer, discriminator_optimizer: built on the segmenter's variables.
      strategy: the `tf.distribute.Strategy` in whose scope all of them were made.
    """

    headline = {"seg": "seg/output/", "adv": "adv/output/", "disc": "disc/output/"}

    def __init__(
        self, *, config: TrainConfig, segmenter, feeds, generator_optimizer, discriminator_optimizer, strategy
    ):
        self.config, self.segmenter, self.feeds, self.strategy = config, segmenter, feeds, strategy
        self.serves = segmenter
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        self.checkpointables = {
            "generator_optimizer": generator_optimizer,
            "discriminator_optimizer": discriminator_optimizer,
        }
        self.together = config.passes == "together"
        self._source_loss = SourceLoss(config, segmenter, feeds, strategy)
        self._lambda_adv = {"feature": config.adv_weight_feature, "output": config.adv_weight_output}
        self._equation_4 = compiled(self._sums, jit=config.jit)
        self._share = 1.0 / (strategy.num_replicas_in_sync * config.accumulate)
        self._sources_of = {branch: sum(branch in feed for feed in feeds) for branch in segmenter.branches}

    def step(self, batch: dict) -> dict[str, tf.Tensor]:
        """Equation 5: the network and the discriminators descend, from the same weights."""
        network, discriminator, metrics = self.gradients(batch)
        return metrics | self.descend(network, discriminator)

    def gradients(self, batch: dict, *, further=no_terms, on_source_map=None):
        """Equation 4: (network's gradients, discriminators' gradients, metrics) of one replica's batch.

        Gradients follow `segmenter.generator_variables` and `segmenter.discriminator_variables`.

        Args:
          batch: see `msda_tf.methods.contract.Method`.
          further: of a micro-batch, gives the terms that another method adds to this one.
          on_source_map: see `Term.on_map`, for the sources' images.
        """
        # The replicas count their pixels together; what follows is each one's own.
        return self._equation_4(batch, self._source_loss.valid_pixels(batch), further, on_source_map)

    def _sums(self, batch, valid, further, on_source_map):
        total = GradientSum(
            self.segmenter, self.generator_optimizer, self.discriminator_optimizer, together=self.together
        )
        for part in micro_batches(batch, self.config.accumulate):
            sources = [
                Term(source, branches, lambda *head: self._source_terms(*head, valid), on_source_map)
                for branches, source in zip(self.feeds, part["sources"], strict=True)
            ]
            target = Term(part["target"], self.segmenter.branches, self._target_terms)
            total.add([*sources, target, *further(part)])
        return total.network, total.discriminator, total.metrics

    def descend(self, network: list, discriminator: list) -> dict[str, tf.Tensor]:
        """Applies what `gradients` gave."""
        network = clipped(network, self.generator_optimizer, self.config.clip_norm)
        return descend([
            ("generator", self.generator_optimizer, network, self.segmenter.generator_variables),
            ("discriminator", self.discriminator_optimizer, discriminator, self.segmenter.discriminator_variables),
        ])  # fmt: skip

    def pixels(self, labels: tf.Tensor) -> tf.Tensor:
        """See `SourceLoss.pixels`."""
        return self._source_loss.pixels(labels)

    def _source_terms(self, level, branch, logits, source, valid) -> HeadLosses:
        """lambda_seg * L_seg (eq. 1), and the source's half of L_D (eq. 2)."""
        supervised, maps = self._source_loss(level, branch, logits, source, valid)
        image_size = source["image"].shape[1:3]
        if image_size != source["label"].shape[1:3]:
            maps = self._upsample(logits, image_size)
        fed_by = self._sources_of[branch]
        _, judged, metrics = self._judge(level, branch, tf.stop_gradient(maps), losses.SOURCE, fed_by)
        return HeadLosses(supervised.network, judged, supervised.metrics | metrics)

    def _target_terms(self, level, branch, logits, target) -> HeadLosses:
        """lambda_adv * L_adv (eq. 3), and the target's half of L_D (eq. 2).

        One pass through the discriminator serves both: the network's gradient flows through the maps, the
        discriminator's ends at its own weights.
        """
        maps = self._upsample(logits, target["image"].shape[1:3])
        answers, judged, metrics = self._judge(level, branch, maps, losses.TARGET, 1)
        adversarial = losses.adversarial_loss(answers, self.config.gan) * self._share
        metrics = {f"adv/{level}/{branch}": adversarial} | metrics
        return HeadLosses(self._lambda_adv[level] * adversarial, judged, metrics)

    def _judge(self, level, branch, maps, domain, parts):
        """(answers, loss, metrics) of the head's discriminator for softmax maps `[B, H, W, C]`: one of the `parts` that
        make a half of its L_D."""
        objective, share = self.config.gan, self._share
        answers = self.segmenter.module(level).discriminator(branch)(tf.nn.softmax(maps))
        loss = losses.discriminator_loss(answers, domain, objective) * share / parts
        metrics = {
            f"disc/{level}/{branch}": loss,
            f"disc_accuracy/{level}/{branch}": losses.accuracy(answers, domain, objective) / 2 * share / parts,
        }
        return answers, loss, metrics

    def _upsample(self, logits, size):
        return upsample(logits, size, align_corners=self.config.align_corners)

    def learning_rates(self, step: int) -> dict[str, float]:
        """Of the generator and the discriminators."""
        return {
            "learning_rate/generator": float(learning_rate(self.config, self.config.generator_lr)(step)),
            "learning_rate/discriminator": float(learning_rate(self.config, self.config.discriminator_lr)(step)),
        }
