"""One training step: the paper's equations 4 and 5.

All domains go forward once. The network descends on `sum over levels and branches of lambda_seg * L_seg + lambda_adv *
L_adv`, every discriminator on its L_D over stopped maps. All gradients are taken at the same weights, then applied.

Each term depends on the images of one domain alone, so the domains are passed one after the other and their gradients
added: the activations of only one are alive at a time.
"""

import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.methods import losses
from msda_tf.models.layers.resize import upsample
from msda_tf.models.segmenter import LEVELS, MultiSourceSegmenter
from msda_tf.training.replicas import gradient_norm, step_on_all


class GanStep:
    """The step of one network.

    Args:
      segmenter: the network and its discriminators, with their variables.
      config: lambdas, objective, sizes of the losses.
      feeds: for each source image of a step, the branches that it trains: (("S1",), ("S2",)), or (("S-All",),).
      generator_optimizer, discriminator_optimizer: built on the segmenter's variables; the second is None without
        adaptation.
      strategy: the `tf.distribute.Strategy` in whose scope all of them were made.

    A batch is a dictionary:
      sources: for each feed `image` uint8 `[B, H, W, 3]`, `label` uint8 `[B, H_l, W_l]`, `mean` float32 `[3]` (RGB).
      target: `image` uint8 `[B, H_t, W_t, 3]`, `mean` float32 `[3]`. Its labels are not even accepted.
    """

    def __init__(
        self,
        *,
        segmenter: MultiSourceSegmenter,
        config: TrainConfig,
        feeds: tuple[tuple[str, ...], ...],
        generator_optimizer,
        discriminator_optimizer,
        strategy: tf.distribute.Strategy,
    ):
        self.segmenter, self.config, self.feeds, self.strategy = segmenter, config, feeds, strategy
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        self.seg_weights = {"feature": config.seg_weight_feature, "output": config.seg_weight_output}
        self.adv_weights = {"feature": config.adv_weight_feature, "output": config.adv_weight_output}
        self._fed = {branch: sum(branch in feed for feed in feeds) for branch in segmenter.branches}
        self._step = step_on_all(self._replica_step, strategy, jit=config.jit)

    def __call__(self, batch: dict) -> dict[str, tf.Tensor]:
        """Runs one step and gives its losses, norms and accuracies, float32 scalars at the weights before it."""
        return self._step(batch)

    def graph(self, batch: dict) -> tf.Graph:
        """What TensorFlow is given to run for such a batch (traced now, if this is the first)."""
        return self._step.get_concrete_function(batch).graph

    def gradients(self, batch: dict):
        """(generator gradients, discriminator gradients, metrics) of one replica's batch, each at the present weights.

        Gradients follow `segmenter.generator_variables` and `segmenter.discriminator_variables`.
        """
        replicas = self.strategy.num_replicas_in_sync
        valid = {
            branch: tf.add_n([
                losses.valid_pixels(source["label"])
                for feed, source in zip(self.feeds, batch["sources"], strict=True) if branch in feed
            ])
            for branch in self.segmenter.branches
        }  # fmt: skip
        if replicas > 1:
            valid = tf.distribute.get_replica_context().all_reduce("SUM", valid)
        parts = self.config.accumulate
        share = 1.0 / (replicas * parts)
        total = _Sum()
        for micro_batch in _split(batch, parts):
            for feed, source in zip(self.feeds, micro_batch["sources"], strict=True):
                with tf.control_dependencies(total.tensors()):
                    source = tf.nest.map_structure(tf.identity, source)
                total.add(*self._source_pass(feed, source, valid, share))
            if self.config.adapt:
                with tf.control_dependencies(total.tensors()):
                    target = tf.nest.map_structure(tf.identity, micro_batch["target"])
                total.add(*self._target_pass(target, share))
        return total.generator, total.discriminator, total.metrics

    def _source_pass(self, feed, source, valid, share):
        """Eq. 1, and the source's half of eq. 2, for the branches that this source trains."""
        config, image_size, label_size = self.config, source["image"].shape[1:3], source["label"].shape[1:3]

        def head_losses(level, branch, logits):
            maps = self._upsample(logits, label_size)
            seg = losses.segmentation_loss(maps, source["label"], valid[branch])
            metrics = {f"seg/{level}/{branch}": seg}
            if not config.adapt:
                return self.seg_weights[level] * seg, None, metrics
            if image_size != label_size:
                maps = self._upsample(logits, image_size)
            answers = self._discriminate(level, branch, tf.stop_gradient(maps))
            part = losses.discriminator_loss(answers, losses.SOURCE, config.gan) * share / self._fed[branch]
            accuracy = _accuracy(answers, losses.SOURCE, config.gan)
            metrics[f"disc/{level}/{branch}"] = part
            metrics[f"disc_accuracy/{level}/{branch}"] = accuracy / 2 * share / self._fed[branch]
            return self.seg_weights[level] * seg, part, metrics

        return self._pass(source, feed, head_losses)

    def _target_pass(self, target, share):
        """Eq. 3, and the target's half of eq. 2, for every branch."""
        config, size = self.config, target["image"].shape[1:3]

        def head_losses(level, branch, logits):
            # One pass serves both: the network's gradient flows through the maps, the discriminator's ends at its own
            # weights.
            answers = self._discriminate(level, branch, self._upsample(logits, size))
            adversarial = losses.adversarial_loss(answers, config.gan) * share
            part = losses.discriminator_loss(answers, losses.TARGET, config.gan) * share
            metrics = {
                f"adv/{level}/{branch}": adversarial,
                f"disc/{level}/{branch}": part,
                f"disc_accuracy/{level}/{branch}": _accuracy(answers, losses.TARGET, config.gan) / 2 * share,
            }
            return self.adv_weights[level] * adversarial, part, metrics

        return self._pass(target, self.segmenter.branches, head_losses)

    def _pass(self, images, branches, head_losses):
        """(generator gradients, discriminator gradients, metrics) of one domain.

        Every head's losses are followed back to its small map at once, one head after the other: no more than one
        head's maps of full resolution, and its discriminator's activations, are alive at a time.

        Args:
          images: of the domain.
          branches: whose heads it passes.
          head_losses: of a level, branch and `[B, h, w, C]` float32 logits: (what the network minimises, what the
            discriminator minimises, metrics).
        """
        metrics, discriminators, upstream, before = {}, {}, [], []
        with tf.GradientTape() as tape:
            logits = self.segmenter(_centred(images), branches=branches, training=True)
            heads = [(level, branch) for level in LEVELS for branch in branches]
            maps = [tf.cast(logits[level][branch], tf.float32) for level, branch in heads]
        for (level, branch), small in zip(heads, maps, strict=True):
            with tf.control_dependencies(before):
                small = tf.identity(small)
            with tf.GradientTape(persistent=True) as head_tape:
                head_tape.watch(small)
                generator_loss, discriminator_loss, found = head_losses(level, branch, small)
                generator_loss = self.generator_optimizer.scale_loss(generator_loss)
                if self.config.adapt:
                    discriminator_loss = self.discriminator_optimizer.scale_loss(discriminator_loss)
            before = [head_tape.gradient(generator_loss, small)]
            upstream += before
            if self.config.adapt:
                variables = self.segmenter.module(level).discriminator(branch).trainable_variables
                for variable, gradient in zip(
                    variables, head_tape.gradient(discriminator_loss, _values(variables)), strict=True
                ):
                    # Branches may share a discriminator.
                    path = variable.path
                    discriminators[path] = discriminators[path] + gradient if path in discriminators else gradient
                    before = [*before, gradient]
            metrics |= found
        generator = tape.gradient(maps, _values(self.segmenter.generator_variables), output_gradients=upstream)
        return generator, [discriminators.get(v.path) for v in self.segmenter.discriminator_variables], metrics

    def _upsample(self, logits, size):
        return upsample(logits, size, align_corners=self.config.align_corners)

    def _discriminate(self, level, branch, maps):
        return self.segmenter.module(level).discriminator(branch)(tf.nn.softmax(maps))

    def _replica_step(self, batch):
        generator, discriminator, metrics = self.gradients(batch)
        metrics["gradient_norm/generator"] = gradient_norm(generator, self.generator_optimizer)
        if self.config.adapt:
            metrics["gradient_norm/discriminator"] = gradient_norm(discriminator, self.discriminator_optimizer)
        # Without this the first update could run before a gradient that reads the same weights.
        with tf.control_dependencies([gradient for gradient in generator + discriminator if gradient is not None]):
            generator = [None if gradient is None else tf.identity(gradient) for gradient in generator]
        self.generator_optimizer.apply(generator, self.segmenter.generator_variables)
        if self.config.adapt:
            self.discriminator_optimizer.apply(discriminator, self.segmenter.discriminator_variables)
        return metrics


class _Sum:
    """Gradients and metrics added over domains and micro-batches."""

    def __init__(self):
        self.generator, self.discriminator, self.metrics = [], [], {}

    def add(self, generator, discriminator, metrics):
        self.generator = _added(self.generator, generator)
        self.discriminator = _added(self.discriminator, discriminator)
        for name, value in metrics.items():
            self.metrics[name] = self.metrics[name] + value if name in self.metrics else value

    def tensors(self):
        return [gradient for gradient in self.generator + self.discriminator if gradient is not None]


def _added(total, gradients):
    """Element-wise sum of two lists of gradients, in which None means that a term does not reach the variable."""
    if not total:
        return list(gradients)
    return [a if b is None else b if a is None else a + b for a, b in zip(total, gradients, strict=True)]


def _centred(images):
    """Float32 RGB images minus their data set's mean, `[B, H, W, 3]`."""
    return tf.cast(images["image"], tf.float32) - images["mean"]


def _values(variables):
    return [variable.value for variable in variables]


def _accuracy(answers, domain, objective):
    """Share of the patches that a discriminator takes for the right domain."""
    threshold = 0.5 if objective == "lsgan" else 0.0
    right = answers > threshold if domain == losses.SOURCE else answers <= threshold
    return tf.reduce_mean(tf.cast(right, tf.float32))


def _split(batch, parts):
    """The batch as `parts` micro-batches: images are split, means shared."""
    if parts == 1:
        return [batch]

    def part(number, images):
        def piece(name, value):
            size = value.shape[0] // parts
            return value if name == "mean" else value[number * size : (number + 1) * size]

        return {name: piece(name, value) for name, value in images.items()}

    return [
        {"sources": [part(number, source) for source in batch["sources"]], "target": part(number, batch["target"])}
        for number in range(parts)
    ]
