"""MultiSourceSegmenter: a backbone and the two adaptive classification modules."""

from collections.abc import Callable

import keras
import tensorflow as tf

from msda_tf.models import backbones
from msda_tf.models.module import AdaptiveClassificationModule

LEVELS = ("feature", "output")
"""Stage 3 and stage 4 of the backbone: where the two modules sit."""


class MultiSourceSegmenter(keras.Model):
    """One network: one backbone, and at both levels one classifier (and one discriminator) for each branch.

    Args:
      branches: names, such as ("S1", "S2") or ("S-All",).
      num_classes: C.
      backbone: a key of `msda_tf.models.backbones.BACKBONES`, or a function of (norm=, recompute=) that makes one.
      decoder: a key of `msda_tf.models.decoders.DECODERS`.
      norm: of the backbone (see the knob of this name).
      rates: of atrous classifiers.
      discriminators: "branch", "level" or "none".
      discriminator_width: channels of the discriminators' first layer.
      recompute: in training, keep only the outputs of the backbone's blocks and compute the rest again.

    Maps mean-subtracted RGB images `[B, H, W, 3]` to logits `{level: {branch: [B, h, w, C]}}`.
    """

    def __init__(
        self,
        *,
        branches: tuple[str, ...],
        num_classes: int = 19,
        backbone: str | Callable[..., keras.layers.Layer] = "resnet101",
        decoder: str = "atrous",
        norm: str = "frozen",
        rates: tuple[int, ...] = (6, 12, 18, 24),
        discriminators: str = "branch",
        discriminator_width: int = 64,
        recompute: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.branches, self.num_classes, self.rates = tuple(branches), num_classes, tuple(rates)
        self.backbone = (
            backbones.make(backbone, norm=norm, recompute=recompute)
            if isinstance(backbone, str)
            else backbone(norm=norm, recompute=recompute)
        )
        options = {
            "num_classes": num_classes,
            "decoder": decoder,
            "rates": tuple(rates),
            "discriminators": discriminators,
            "discriminator_width": discriminator_width,
        }
        self.feature_module = AdaptiveClassificationModule("feature", self.branches, **options)
        self.output_module = AdaptiveClassificationModule("output", self.branches, **options)

    def module(self, level: str) -> AdaptiveClassificationModule:
        """The module of a level."""
        return {"feature": self.feature_module, "output": self.output_module}[level]

    def call(
        self,
        images,
        branches: tuple[str, ...] | None = None,
        levels: tuple[str, ...] = LEVELS,
        training=False,
        with_maps=False,
    ):
        """Logits of the named branches and levels (all by default), at the backbone's resolution.

        With `with_maps`, the pair of them and the backbone's four maps.
        """
        maps = self.maps(images, training=training)
        logits = self.logits(maps, branches, levels, training=training)
        return (logits, maps) if with_maps else logits

    def maps(self, images, training=False) -> list[tf.Tensor]:
        """The backbone's four maps of images."""
        return self.backbone(tf.cast(images, self.compute_dtype), training=training)

    def logits(self, maps, branches=None, levels: tuple[str, ...] = LEVELS, training=False):
        """Logits of the named branches and levels (all by default) from the backbone's four maps."""
        return {level: self.module(level)(maps, branches=branches, training=training) for level in levels}

    def build(self, input_shape):
        self.backbone.build(input_shape)
        for level in LEVELS:
            self.module(level).build(self.backbone.channels)

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
        """Trainable variables of the classifiers of both levels, and of what they share within a level."""
        return [variable for level in LEVELS for variable in self.module(level).head_variables]
