"""What the rest of the project expects of a decoder."""

from collections.abc import Sequence
from typing import Protocol

import keras
import tensorflow as tf


class Decoder(Protocol):
    """From the backbone's four maps to logits, at one level: one classifier for each branch.

    A plain object, not a layer: the level's module (`msda_tf.models.module`) holds its layers under names that
    checkpoints know.

    Attributes:
      classifiers: branch -> layer that holds the branch's own variables.
      trunk: layer that all branches share, or None.
    """

    classifiers: dict[str, keras.layers.Layer]
    trunk: keras.layers.Layer | None

    def build(self, channels: tuple[int, int, int, int]) -> None:
        """Makes every variable, for a backbone whose maps have these channels."""

    def __call__(self, maps: Sequence[tf.Tensor], branches: Sequence[str], training: bool) -> dict[str, tf.Tensor]:
        """Logits `{branch: [B, h, w, C]}` of the named branches over the backbone's four maps."""
