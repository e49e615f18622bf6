"""What sits on the backbone at one level: the decoder with a classifier for each branch, and their discriminators."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from msda_tf.models import decoders
from msda_tf.models.discriminator import Discriminator


class AdaptiveClassificationModule(keras.layers.Layer):
    """The classifiers of one level (one for each branch), each with the discriminator that adapts it.

    Args:
      level: "feature" or "output", which is also the layer's name.
      branches: names, such as ("S1", "S2") or ("S-All",).
      num_classes: C.
      decoder: a key of `msda_tf.models.decoders.DECODERS`.
      rates: of atrous classifiers.
      discriminators: "branch" (one for each branch, the paper's eq. 4), "level" (one that all branches of the level
        share) or "none" (no adaptation).
      discriminator_width: channels of the discriminator's first layer.
    """

    def __init__(
        self,
        level: str,
        branches: tuple[str, ...],
        *,
        num_classes: int,
        decoder: str = "atrous",
        rates: tuple[int, ...],
        discriminators: str = "branch",
        discriminator_width: int = 64,
    ):
        super().__init__(name=level)
        self.branches, self.num_classes = tuple(branches), num_classes
        self.decoder = decoders.make(
            decoder, level=level, branches=self.branches, num_classes=num_classes, rates=tuple(rates)
        )
        self.classifiers = list(self.decoder.classifiers.values())
        names = {"branch": self.branches, "level": ("shared",), "none": ()}[discriminators]
        self.discriminators = [Discriminator(discriminator_width, name=f"discriminator_{name}") for name in names]
        # tf.train.Checkpoint follows attributes but not Keras' lists: these names are the paths in its files.
        for name, classifier in self.decoder.classifiers.items():
            setattr(self, f"classifier_{name}", classifier)
        if self.decoder.trunk is not None:
            self.trunk = self.decoder.trunk
        for discriminator in self.discriminators:
            setattr(self, discriminator.name, discriminator)

    def build(self, channels: tuple[int, int, int, int]):
        self.decoder.build(channels)
        for discriminator in self.discriminators:
            discriminator.build((None, None, None, self.num_classes))

    def call(self, maps: Sequence[tf.Tensor], branches: tuple[str, ...] | None = None, training: bool = False):
        """Logits `{branch: [B, h, w, C]}` of the named branches (all by default) over the backbone's four maps."""
        return self.decoder(maps, self.branches if branches is None else branches, training)

    @property
    def head_variables(self) -> list[keras.Variable]:
        """Trainable variables of the classifiers and of what they share."""
        shared = [] if self.decoder.trunk is None else self.decoder.trunk.trainable_variables
        return [*shared, *(variable for layer in self.classifiers for variable in layer.trainable_variables)]

    def discriminator(self, branch: str) -> Discriminator:
        """The discriminator that judges this branch's maps."""
        shared = len(self.discriminators) == 1
        return self.discriminators[0 if shared else self.branches.index(branch)]
