"""One training step of UNIT: the discriminators descend, then, against the new discriminators, the autoencoders."""

import tensorflow as tf

from msda_tf.data.order import stream_key
from msda_tf.stylize import losses
from msda_tf.stylize.config import StylizeConfig
from msda_tf.stylize.images import to_network
from msda_tf.stylize.perceptual import PerceptualFeatures
from msda_tf.stylize.unit.networks import DOMAINS, Unit
from msda_tf.training.replicas import compiled, gradient_norm, step_on_all

OTHER = {"a": "b", "b": "a"}


class UnitStep:
    """The step of one pair of domains.

    Args:
      unit: the networks, with their variables.
      config: weights of the terms, seed.
      generator_optimizer, discriminator_optimizer: built on the networks' variables.
      features: for the perceptual term; None leaves it out.
      strategy: the `tf.distribute.Strategy` in whose scope all of them were made; with `jit` of one device.

    A batch is a dictionary: `a` and `b` uint8 `[B, H, W, 3]` RGB, and `step` int64 `[]`, which with the seed decides
    the noise on the codes.

    UNIT's code translates twice in a step, for the discriminators and, with other noise, for the autoencoders. The
    autoencoders being the same both times, here one translation serves both.
    """

    def __init__(
        self,
        *,
        unit: Unit,
        config: StylizeConfig,
        generator_optimizer,
        discriminator_optimizer,
        features: PerceptualFeatures | None,
        strategy: tf.distribute.Strategy,
    ):
        self.unit, self.config, self.features, self.strategy = unit, config, features, strategy
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        self._step = step_on_all(compiled(self._replica_step, jit=config.jit), strategy)

    def __call__(self, batch: dict) -> dict[str, tf.Tensor]:
        """Runs one step and gives its losses and gradients' norms, float32 scalars."""
        return self._step(batch)

    def _replica_step(self, batch):
        # Gradients and metrics of the replicas are added up.
        share = 1.0 / self.strategy.num_replicas_in_sync
        images = {domain: to_network(batch[domain]) for domain in DOMAINS}
        with tf.GradientTape() as tape:
            codes = {domain: self.unit.encode(domain, images[domain]) for domain in DOMAINS}
            noisy = {domain: codes[domain] + self._noise(domain, codes[domain], batch["step"]) for domain in DOMAINS}
            within, translated = self._decoded(noisy)
            with tape.stop_recording():
                metrics = self._train_discriminators(images, translated, share)
            terms = self._generator_terms(images, codes, within, translated, batch["step"])
            loss = share * tf.add_n([weight * value for weight, value in terms.values()])
            scaled = self.generator_optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in self.unit.generator_variables])
        metrics |= {name: share * value for name, (_, value) in terms.items()}
        metrics["gradient_norm/generator"] = gradient_norm(gradients, self.generator_optimizer)
        self.generator_optimizer.apply(gradients, self.unit.generator_variables)
        return metrics

    def _decoded(self, codes):
        """Both domains' reconstructions, and what they become in the other domain: each decoder runs once."""
        within, translated = {}, {}
        for domain in DOMAINS:
            other = OTHER[domain]
            decoded = self.unit.decode(domain, tf.concat([codes[domain], codes[other]], 0))
            within[domain], translated[other] = tf.split(decoded, 2)
        return within, translated

    def _train_discriminators(self, images, translated, share):
        total, metrics = 0.0, {}
        with tf.GradientTape() as tape:
            for domain in DOMAINS:
                both = tf.concat([images[domain], tf.stop_gradient(translated[OTHER[domain]])], 0)
                answers = [tf.split(answer, 2) for answer in self.unit.discriminate(domain, both)]
                value = share * losses.discriminator([real for real, _ in answers], [fake for _, fake in answers])
                metrics[f"disc/{domain}"] = value
                total += self.config.gan_weight * value
            scaled = self.discriminator_optimizer.scale_loss(total)
        gradients = tape.gradient(scaled, [variable.value for variable in self.unit.discriminator_variables])
        metrics["gradient_norm/discriminator"] = gradient_norm(gradients, self.discriminator_optimizer)
        self.discriminator_optimizer.apply(gradients, self.unit.discriminator_variables)
        return metrics

    def _generator_terms(self, images, codes, within, translated, step):
        """Term -> (weight, value), for each domain; "cycle/a" and so on belong to an image of a that goes to b."""
        config, terms = self.config, {}
        for domain in DOMAINS:
            other = OTHER[domain]
            translation = translated[domain]
            again = self.unit.encode(other, translation)
            noisy = again + self._noise(f"{domain} again", again, step)
            back = self.unit.decode(domain, noisy)
            terms[f"within/{domain}"] = config.within_weight, losses.reconstruction(images[domain], within[domain])
            terms[f"cycle/{domain}"] = config.cycle_weight, losses.reconstruction(images[domain], back)
            terms[f"kl/{domain}"] = config.kl_weight, losses.kl(codes[domain])
            terms[f"kl_cycle/{domain}"] = config.kl_cycle_weight, losses.kl(again)
            answers = self.unit.discriminate(other, translation)
            terms[f"adv/{domain}"] = config.gan_weight, losses.adversarial(answers)
            if self.features is not None:
                features = self.features(tf.concat([images[domain], translation], 0))
                value = losses.perceptual(*tf.split(features, 2))
                terms[f"perceptual/{domain}"] = config.perceptual_weight, value
        return terms

    def _noise(self, stream, codes, step):
        """Normal noise of deviation `code_noise`, like `codes`: by the seed, the stream's name, and the image's number
        since the first step alone."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        size = codes.shape[0]
        first = step * self.config.batch_size + tf.cast(replica, tf.int64) * size
        key = stream_key(self.config.seed, f"noise/{stream}")
        return self.config.code_noise * tf.stack(
            [tf.random.stateless_normal(codes.shape[1:], [key, first + number], alg="philox") for number in range(size)]
        )
