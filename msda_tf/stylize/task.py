"""What the trainer trains here: UNIT between a source and the target."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.inference.networks import dtype_policy
from msda_tf.stylize.config import StylizeConfig
from msda_tf.stylize.frechet import frechet_distance, random_features
from msda_tf.stylize.grid import grid
from msda_tf.stylize.images import crops, to_network, to_picture
from msda_tf.stylize.perceptual import PerceptualFeatures, RandomFeatures
from msda_tf.stylize.step import OTHER, UnitStep
from msda_tf.stylize.unit.networks import DOMAINS, Unit
from msda_tf.training import replicas
from msda_tf.training.optimizers import make_optimizer, with_loss_scale
from msda_tf.training.trainer import Evaluation


def build_unit(config: StylizeConfig, *, discriminators: bool = True) -> Unit:
    """The networks with fresh weights (call it inside the strategy's scope); the same seed gives the same weights."""
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(config.precision):
        unit = Unit(
            channels=config.channels,
            blocks=config.blocks,
            discriminator_channels=config.discriminator_channels if discriminators else 0,
            name="unit",
        )
        unit.create_variables()
    if config.same_start:
        for part in ("encoder", "decoder"):
            a, b = (getattr(unit, f"{part}_{domain}").trainable_variables for domain in DOMAINS)
            for ours, theirs in zip(a, b, strict=True):
                theirs.assign(ours)
    return unit


class UnitTask:
    """UNIT's data, step and evaluation (see `msda_tf.training.trainer.Task`).

    Args:
      config: of the run.
      manifests: of domain a, the source, and domain b, the target.
      strategy: the devices to train on.
      corrupt: counts damaged records.
      vgg_weights: for the perceptual term on VGG16's features: see `PerceptualFeatures`; None leaves it out.
    """

    name = "unit"

    def __init__(
        self,
        *,
        config: StylizeConfig,
        manifests: dict[str, Manifest],
        strategy: tf.distribute.Strategy,
        corrupt: CorruptRecords,
        vgg_weights: str | None,
    ):
        self.config, self.manifests, self.strategy, self.corrupt = config, manifests, strategy, corrupt
        self._learning_rate = keras.optimizers.schedules.ExponentialDecay(
            config.learning_rate, config.halve_every, 0.5, staircase=True
        )
        with strategy.scope():
            self.unit = build_unit(config)
            self.generator_optimizer = self._optimizer(self.unit.generator_variables)
            self.discriminator_optimizer = self._optimizer(self.unit.discriminator_variables)
            features = None
            if vgg_weights is not None:
                features = PerceptualFeatures(vgg_weights)
            elif config.perceptual_weight and config.perceptual_features == "random":
                features = RandomFeatures()
        self._step = UnitStep(
            unit=self.unit,
            config=config,
            generator_optimizer=self.generator_optimizer,
            discriminator_optimizer=self.discriminator_optimizer,
            features=features,
            strategy=strategy,
        )
        self.checkpointables = {
            "unit": self.unit,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        self._there_and_back = tf.function(self._translations, autograph=False)
        self._previews: dict[str, np.ndarray] = {}

    def batches(self, first_step: int) -> Iterator[dict]:
        """Batches for `UnitStep`, from any step on, with the images' names under "names"."""
        streams = {domain: iter(self._stream(domain, first_step)) for domain in DOMAINS}
        step = first_step
        while True:
            with self.corrupt.raising():
                found = {domain: next(streams[domain]) for domain in DOMAINS}
            images = {domain: found[domain]["image"] for domain in DOMAINS}
            names = [found[domain]["filename"] for domain in DOMAINS]
            yield {**images, "step": tf.constant(step, tf.int64), "names": names}
            step += 1

    def train_step(self, batch: dict) -> dict[str, tf.Tensor]:
        """Runs one step on a batch of `batches`."""
        return self._step({name: value for name, value in batch.items() if name != "names"})

    def image_names(self, batch: dict) -> list[str]:
        """Names of the batch's images."""
        return replicas.image_names(batch["names"], self.strategy)

    def images_per_step(self) -> int:
        """Crops of both domains in a step."""
        return 2 * self.config.batch_size

    def learning_rates(self, step: int) -> dict[str, float]:
        """Learning rates by name."""
        return {"learning_rate": float(self._learning_rate(step))}

    def headline(self, metrics: dict[str, float]) -> str:
        """Cycle, adversarial and discriminator losses, averaged over both domains."""
        return replicas.mean_losses(metrics, {kind: f"{kind}/" for kind in ("cycle", "adv", "disc")})

    def evaluate(self) -> Evaluation:
        """The picture grid, and how far translations are from the look that they should have.

        `frechet/a` is the distance of translations of b from a, `frechet/b` that of translations of a from b, and
        `frechet/apart` that of a from b as they are.
        """
        config = self.config
        shown = {domain: self._preview(domain) for domain in DOMAINS}
        translated, back = {}, {}
        for domain in DOMAINS:
            pairs = [self._there_and_back(domain, image[None]) for image in shown[domain]]
            translated[domain] = np.concatenate([there.numpy() for there, _ in pairs])
            back[domain] = np.concatenate([again.numpy() for _, again in pairs])
        features = {domain: random_features(shown[domain]) for domain in DOMAINS}
        scalars = {"frechet/apart": frechet_distance(features["a"], features["b"])}
        for domain in DOMAINS:
            scalars[f"frechet/{OTHER[domain]}"] = frechet_distance(
                random_features(translated[domain]), features[OTHER[domain]]
            )
        rows = [
            [pictures[domain][number] for domain in DOMAINS for pictures in (shown, translated, back)]
            for number in range(config.preview_images)
        ]
        return Evaluation(scalars=scalars, pictures={"translations": grid(rows)})

    def _translations(self, domain, images):
        """Images uint8 `[B, H, W, 3]` in the other domain, and back again: uint8 each, without noise."""
        other = OTHER[domain]
        translated = self.unit.decode(other, self.unit.encode(domain, to_network(images)))
        again = self.unit.decode(domain, self.unit.encode(other, translated))
        return to_picture(translated), to_picture(again)

    def _preview(self, domain: str) -> np.ndarray:
        """The crops that `evaluate` shows, always the same: uint8 `[N, crop, crop, 3]`."""
        if domain not in self._previews:
            stream, count = f"preview/{domain}", self.config.evaluate_images
            found = crops(self.manifests[domain], config=self.config, stream=stream, batch_size=1, flip=False)
            self._previews[domain] = np.concatenate([batch["image"].numpy() for batch in found.take(count)])
        return self._previews[domain]

    def _optimizer(self, variables):
        optimizer = make_optimizer(
            "adam",
            self._learning_rate,
            variables=variables,
            weight_decay=self.config.weight_decay,
            beta_1=0.5,
            beta_2=0.999,
        )
        return with_loss_scale(self.config.precision, optimizer, variables)

    def _stream(self, domain: str, first_step: int):
        config = self.config

        def dataset(worker: int, workers: int):
            return crops(
                self.manifests[domain],
                config=config,
                stream=f"train/{domain}",
                first_batch=first_step,
                batch_size=config.batch_size,
                flip=config.flip,
                worker=worker,
                workers=workers,
                corrupt=self.corrupt,
            )

        return replicas.distribute(dataset, self.strategy, batch_size=config.batch_size)
