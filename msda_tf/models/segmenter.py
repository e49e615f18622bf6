"""MultiSourceSegmenter: a backbone and the two adaptive classification modules."""

import keras
import tensorflow as tf

from msda_tf.models.backbones.atrous_resnet import AtrousResNet, Depth
from msda_tf.models.module import AdaptiveClassificationModule

LEVELS = ("feature", "output")
"""Stage 3 and stage 4 of the backbone: where the two modules sit."""


class MultiSourceSegmenter(keras.Model):
    """One network: one backbone, and at both levels one classifier (and one discriminator) for each branch.

    Args:
      branches: names, such as ("S1", "S2") or ("S-All",).
      num_classes: C.
      backbone: a key of `msda_tf.models.backbone.DEPTHS`, or a `Depth`.
      norm: see `msda_tf.models.backbone.normalization`.
      rates: of the atrous classifiers.
      discriminators: "branch", "level" or "none".
      discriminator_width: channels of the discriminators' first layer.
      recompute: see `AtrousResNet`.

    Maps mean-subtracted RGB images `[B, H, W, 3]` to logits `{level: {branch: [B, h, w, C]}}`.
    """

    def __init__(
        self,
        *,
        branches: tuple[str, ...],
        num_classes: int = 19,
        backbone: str | Depth = "resnet101",
        norm: str = "frozen",
        rates: tuple[int, ...] = (6, 12, 18, 24),
        discriminators: str = "branch",
        discriminator_width: int = 64,
        recompute: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.branches, self.num_classes = tuple(branches), num_classes
        self.backbone = AtrousResNet(backbone, norm=norm, recompute=recompute, name="backbone")
        options = {
            "num_classes": num_classes,
            "rates": tuple(rates),
            "discriminators": discriminators,
            "discriminator_width": discriminator_width,
        }
        self.feature_module = AdaptiveClassificationModule(self.branches, name="feature", **options)
        self.output_module = AdaptiveClassificationModule(self.branches, name="output", **options)

    def module(self, level: str) -> AdaptiveClassificationModule:
        """The module of a level."""
        return {"feature": self.feature_module, "output": self.output_module}[level]

    def call(self, images, branches: tuple[str, ...] | None = None, levels: tuple[str, ...] = LEVELS, training=False):
        """Logits of the named branches and levels (all by default), at the backbone's resolution."""
        feature, output = self.backbone(tf.cast(images, self.compute_dtype), training=training)
        maps = {"feature": feature, "output": output}
        return {level: self.module(level)(maps[level], branches=branches) for level in levels}

    def build(self, input_shape):
        self.backbone.build(input_shape)
        depth = self.backbone.depth
        for level, planes in zip(LEVELS, depth.planes[2:], strict=True):
            self.module(level).build((None, None, None, planes * depth.expansion))

    def create_variables(self) -> None:
        """Makes every variable (call it inside the strategy's scope)."""
        self.build((None, None, None, 3))

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """Trainable variables of all discriminators."""
        return [
            variable
            for level in LEVELS
            for discriminator in self.module(level).discriminators
            for variable in discriminator.trainable_variables
        ]

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """Trainable variables of the backbone and the classifiers: what segments, and what the paper calls G."""
        return [*self.backbone.trainable_variables, *self.head_variables]

    @property
    def head_variables(self) -> list[keras.Variable]:
        """Trainable variables of the classifiers of both levels."""
        return [
            variable
            for level in LEVELS
            for classifier in self.module(level).classifiers
            for variable in classifier.trainable_variables
        ]
