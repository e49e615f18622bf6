"""Two transposed convolutions over the last map: the plain decoder of vision transformers."""

import keras
import tensorflow as tf

from msda_tf.models.decoders import atrous
from msda_tf.models.decoders.fused import FusedDecoder
from msda_tf.models.layers.attention import layer_norm


def make(*, level: str, branches: tuple[str, ...], num_classes: int, rates: tuple[int, ...]):
    """The decoder of one level; "feature" has the paper's atrous classifiers on the third map."""
    if level == "feature":
        return atrous.make(level=level, branches=branches, num_classes=num_classes, rates=rates)
    return FusedDecoder(TransposedTrunk(), branches=branches, num_classes=num_classes)


class TransposedTrunk(keras.layers.Layer):
    """2x2 transposed convolution of stride 2, GELU, another one, 3x3 convolution, layer normalisation after each.

    Maps the last of four maps, `[B, h, w, C]`, to `[B, 4 h, 4 w, C / 4]`.

    Source: B. Englert et al., "Exploring the Benefits of Vision Foundation Models for Unsupervised Domain Adaptation",
    CVPR workshops 2024.
    """

    def __init__(self, name: str = "trunk"):
        super().__init__(name=name)
        self.norms = [layer_norm(1e-6, f"norm_{number}") for number in (1, 2, 3)]
        # tf.train.Checkpoint follows attributes but not Keras' lists.
        for norm in self.norms:
            setattr(self, norm.name, norm)

    def build(self, input_shape):
        channels = input_shape[-1][-1]
        self.width = channels // 4

        def conv(kind, filters, name, **options):
            return kind(filters, use_bias=False, kernel_initializer="he_normal", name=name, **options)

        self.up_1 = conv(keras.layers.Conv2DTranspose, channels // 2, "up_1", kernel_size=2, strides=2)
        self.up_2 = conv(keras.layers.Conv2DTranspose, self.width, "up_2", kernel_size=2, strides=2)
        self.conv = conv(keras.layers.Conv2D, self.width, "conv", kernel_size=3, padding="same")
        shape = tuple(input_shape[-1])
        for layer, norm in zip((self.up_1, self.up_2, self.conv), self.norms, strict=True):
            layer.build(shape)
            shape = (None, None, None, layer.filters)
            norm.build(shape)

    def call(self, maps):
        x = tf.nn.gelu(self.norms[0](self.up_1(maps[-1])))
        x = self.norms[1](self.up_2(x))
        return self.norms[2](self.conv(x))
