"""Decoders that bring all four maps to the size of the finest and classify each of its pixels: SegFormer's, DAFormer's.

Both with GroupNorm where the published ones have BatchNorm: batches of two domains and of one image leave no statistics
worth keeping, and training and test compute the same.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from msda_tf.models.layers.attention import dense
from msda_tf.models.layers.normalization import normalization
from msda_tf.models.layers.resize import upsample

WIDTH = 256
"""Channels of everything between the backbone and the classifiers."""

CONTEXT_RATES = (6, 12, 18)
"""Dilations of DAFormer's depthwise convolutions; a 1x1 convolution beside them sees the pixel itself."""


def classifier(num_classes: int, name: str) -> keras.layers.Dense:
    """One linear classifier of pixels, started as DAFormer's."""
    return keras.layers.Dense(num_classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name=name)


class FusedDecoder:
    """A trunk that all branches share, then one linear classifier for each. See `msda_tf.models.decoders.contract`.

    Args:
      trunk: maps the four maps to one `[B, h, w, trunk.width]`.
      branches: names.
      num_classes: C.
    """

    def __init__(self, trunk: keras.layers.Layer, *, branches: tuple[str, ...], num_classes: int):
        self.trunk = trunk
        self.classifiers = {name: classifier(num_classes, name) for name in branches}

    def build(self, channels: tuple[int, int, int, int]) -> None:
        """Makes the variables of the trunk and the classifiers."""
        self.trunk.build([(None, None, None, count) for count in channels])
        for layer in self.classifiers.values():
            layer.build((None, None, None, self.trunk.width))

    def __call__(self, maps: Sequence[tf.Tensor], branches: Sequence[str], training: bool) -> dict[str, tf.Tensor]:
        """Logits `{branch: [B, h, w, C]}`, of the trunk's size."""
        features = self.trunk(list(maps))
        return {name: self.classifiers[name](features) for name in branches}


class MlpTrunk(keras.layers.Layer):
    """SegFormer's all-MLP decoder up to its classifier: `[B, h, w, C]` times four to `[B, h_1, w_1, 256]`.

    A linear layer for each map, up-sampling to the first map's size, one linear layer over all of them, ReLU. The last
    linear layer is applied before up-sampling, map by map: both are linear, so the sum is the same, at a quarter of the
    memory.

    Source: E. Xie et al., "SegFormer", NeurIPS 2021, section 3.2.
    """

    width = WIDTH

    def __init__(self, name: str = "trunk"):
        super().__init__(name=name)
        self.embed = [dense(WIDTH, f"embed_{number + 1}") for number in range(4)]
        self.fuse = [dense_without_bias(f"fuse_{number + 1}") for number in range(4)]
        self.norm = normalization("group", WIDTH, "norm")
        _attach(self, [*self.embed, *self.fuse])

    def build(self, input_shape):
        for shape, embed, fuse in zip(input_shape, self.embed, self.fuse, strict=True):
            embed.build(tuple(shape))
            fuse.build((None, None, None, WIDTH))
        self.norm.build((None, None, None, WIDTH))

    def call(self, maps):
        fused = [
            to_size_of(maps[0], fuse(embed(x))) for x, embed, fuse in zip(maps, self.embed, self.fuse, strict=True)
        ]
        return tf.nn.relu(self.norm(tf.add_n(fused)))


class ContextTrunk(keras.layers.Layer):
    """DAFormer's context-aware fusion: `[B, h, w, C]` times four to `[B, h_1, w_1, 256]`.

    A linear layer for each map, up-sampling to the first map's size, side by side; a 1x1 convolution and depthwise
    separable ones of rates 6, 12 and 18 over them, side by side; a 3x3 convolution.

    Source: L. Hoyer et al., "DAFormer", CVPR 2022, section 3.2.
    """

    width = WIDTH

    def __init__(self, name: str = "trunk"):
        super().__init__(name=name)
        self.embed = [dense(WIDTH, f"embed_{number + 1}") for number in range(4)]
        self.near = _Unit(_convolution(1), name="near")
        self.far = [_SeparableUnit(rate, name=f"far_{rate}") for rate in CONTEXT_RATES]
        self.bottleneck = _Unit(_convolution(3), name="bottleneck")
        _attach(self, [*self.embed, *self.far])

    def build(self, input_shape):
        for shape, embed in zip(input_shape, self.embed, strict=True):
            embed.build(tuple(shape))
        for unit in (self.near, *self.far, self.bottleneck):
            unit.build((None, None, None, 4 * WIDTH))

    def call(self, maps):
        embedded = [to_size_of(maps[0], embed(x)) for x, embed in zip(maps, self.embed, strict=True)]
        beside = tf.concat(embedded, axis=-1)
        return self.bottleneck(tf.concat([unit(beside) for unit in (self.near, *self.far)], axis=-1))


class _Unit(keras.layers.Layer):
    """A convolution, GroupNorm, ReLU.

    Parts are named as their attributes: by names a run's weights are found again, and a teacher's are its student's.
    """

    def __init__(self, convolution: keras.layers.Layer, channels: int = WIDTH, *, name: str):
        super().__init__(name=name)
        self.convolution, self.channels = convolution, channels
        self.norm = normalization("group", channels, "norm")

    def build(self, input_shape):
        self.convolution.build(tuple(input_shape))
        self.norm.build((None, None, None, self.channels))

    def call(self, x):
        return tf.nn.relu(self.norm(self.convolution(x)))


class _SeparableUnit(keras.layers.Layer):
    """A depthwise 3x3 with holes, then a 1x1, each with GroupNorm and ReLU."""

    def __init__(self, rate: int, **kwargs):
        super().__init__(**kwargs)
        depthwise = keras.layers.DepthwiseConv2D(
            3, padding="same", dilation_rate=rate, use_bias=False, name="convolution",
            depthwise_initializer=keras.initializers.RandomNormal(stddev=0.47),
        )  # fmt: skip
        self.depthwise = _Unit(depthwise, 4 * WIDTH, name="depthwise")
        self.pointwise = _Unit(_convolution(1), name="pointwise")

    def build(self, input_shape):
        self.depthwise.build(input_shape)
        self.pointwise.build(input_shape)

    def call(self, x):
        return self.pointwise(self.depthwise(x))


def _convolution(kernel: int) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(
        WIDTH, kernel, padding="same", use_bias=False, kernel_initializer="he_normal", name="convolution"
    )


def dense_without_bias(name: str) -> keras.layers.Dense:
    """A linear layer before a normalisation."""
    return keras.layers.Dense(WIDTH, use_bias=False, kernel_initializer="he_normal", name=name)


def to_size_of(reference: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """`x`, up-sampled (bilinear, half-pixel centres, as published) to the height and width of `reference`."""
    size = tf.shape(reference)[1:3] if None in reference.shape[1:3] else reference.shape[1:3]
    if x.shape[1:3].is_fully_defined() and x.shape[1:3] == reference.shape[1:3]:
        return x
    return tf.cast(upsample(x, size, align_corners=False), x.dtype)


def _attach(layer, parts):
    # tf.train.Checkpoint follows attributes but not Keras' lists.
    for part in parts:
        setattr(layer, part.name, part)
