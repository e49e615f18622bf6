"""What the rest of the project expects of a backbone."""

from typing import Protocol

import keras
import tensorflow as tf


class Backbone(Protocol):
    """A Keras layer or model named "backbone".

    Maps RGB images minus their mean, 0-255, `[B, H, W, 3]` of any size to four maps `[B, h, w, C]`, from fine to
    coarse. What else its weights expect of their input (another scale, another order of channels) it does itself.
    Level "feature" of a segmenter reads the third map; level "output" is the decoder's, which may read all four.

    Attributes:
      family: a key of `msda_tf.weights.families.FAMILIES`: whose weight files fit.
      channels: C of each map.
      strides: image pixels for each pixel of each map; two maps may have the same.
    """

    family: str
    channels: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]

    def __call__(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """The four maps, in the layer's compute type."""

    def build(self, input_shape) -> None:
        """Makes every variable; height and width are None."""

    def foldable(self) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
        """(convolution, BatchNorm after it) wherever the second can be folded into the first for inference; empty if
        the network has another normalisation, whose scale depends on the image."""

    def groups(self) -> list[list[keras.Variable]]:
        """Its variables from the input to the output, block by block, for `layer_decay`; transformers have it."""
