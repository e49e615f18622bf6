"""UNIT's encoder and decoder: an image's code, and the image of a code in one domain's style."""

import keras
import tensorflow as tf

from msda_tf.stylize.unit.layers import (
    INSTANCE,
    SAMPLE,
    ChannelScale,
    ReflectConv,
    ResidualBlock,
    Stage,
    activated,
    added,
    forward,
    plain,
)

STRIDE = 4
"""An encoder halves its input twice: heights and widths must be multiples of this."""


class UnitEncoder(keras.layers.Layer):
    """One 7x7 and two 4x4 stride-2 convolutions, then residual blocks; instance norm and ReLU throughout.

    Args:
      channels: of the first convolution; the code has four times as many.
      blocks: number of residual blocks.

    Maps images `[B, H, W, 3]` in -1..1 to the means of their codes' normal distributions (of variance 1), float32
    `[B, H / 4, W / 4, 4 * channels]`.

    Source: M.-Y. Liu et al., "Unsupervised Image-to-Image Translation Networks", NIPS 2017, as its code stands since
    May 2018: two autoencoders without shared layers.
    """

    def __init__(self, channels: int = 64, blocks: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.blocks = channels, blocks

    def build(self, input_shape):
        c = self.channels
        self.image = ReflectConv(c, 7, name="image")
        self.half = ReflectConv(2 * c, 4, stride=2, name="half")
        self.quarter = ReflectConv(4 * c, 4, stride=2, name="quarter")
        for layer, channels in ((self.image, 3), (self.half, c), (self.quarter, 2 * c)):
            layer.build((None, None, None, channels))
        _add_blocks(self, self.blocks, 4 * c)

    def stages(self) -> list[Stage]:
        """The network, cut at its normalisations."""
        layers = (self.image, self.half, self.quarter)
        found = [
            Stage(enter, layer, INSTANCE) for enter, layer in zip((plain, activated, activated), layers, strict=True)
        ]
        blocks, enter = _block_stages(self, activated)
        return [*found, *blocks, Stage(enter, lambda x: tf.cast(x, tf.float32), None)]

    def call(self, images):
        return forward(self.stages(), tf.cast(images, self.compute_dtype))


class UnitDecoder(keras.layers.Layer):
    """Residual blocks with instance norm, then twice: double the size, 5x5 convolution, sample norm, ReLU; 7x7, tanh.

    Args:
      channels: before the last convolution; a code has four times as many.
      blocks: number of residual blocks.

    Maps codes `[B, h, w, 4 * channels]` to images in -1..1, float32 `[B, 4 * h, 4 * w, 3]`. Source: as `UnitEncoder`.
    """

    def __init__(self, channels: int = 64, blocks: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.blocks = channels, blocks

    def build(self, input_shape):
        c = self.channels
        _add_blocks(self, self.blocks, 4 * c)
        self.half, self.half_norm = ReflectConv(2 * c, 5, name="half"), ChannelScale(name="half_norm")
        self.whole, self.whole_norm = ReflectConv(c, 5, name="whole"), ChannelScale(name="whole_norm")
        self.image = ReflectConv(3, 7, name="image")
        for layer, channels in (
            (self.half, 4 * c),
            (self.half_norm, 2 * c),
            (self.whole, 2 * c),
            (self.whole_norm, c),
            (self.image, c),
        ):
            layer.build((None, None, None, channels))

    def stages(self) -> list[Stage]:
        """The network, cut at its normalisations."""
        blocks, enter = _block_stages(self, plain)
        return [
            *blocks,
            Stage(lambda kept, y: _doubled(enter(kept, y)), self.half, SAMPLE),
            Stage(lambda kept, y: _doubled(tf.nn.relu(self.half_norm(y))), self.whole, SAMPLE),
            Stage(lambda kept, y: tf.nn.relu(self.whole_norm(y)), self._picture, None),
        ]

    def _picture(self, x):
        return tf.tanh(tf.cast(self.image(x), tf.float32))

    def call(self, codes):
        return forward(self.stages(), tf.cast(codes, self.compute_dtype))


def _add_blocks(layer, count: int, channels: int) -> None:
    """Gives a layer its residual blocks, as attributes: tf.train.Checkpoint does not follow Keras' lists."""
    for number in range(count):
        block = ResidualBlock(name=f"block_{number}")
        block.build((None, None, None, channels))
        setattr(layer, f"block_{number}", block)


def _block_stages(layer, enter):
    """(stages of a layer's residual blocks, how the stage behind them enters)."""
    found = []
    for number in range(layer.blocks):
        found += getattr(layer, f"block_{number}").stages(enter)
        enter = added
    return found, enter


def _doubled(x: tf.Tensor) -> tf.Tensor:
    """Every pixel as 2x2 equal ones. TensorFlow's own resize has no deterministic gradient on GPUs."""
    batch, height, width, _ = tf.unstack(tf.shape(x))
    channels = x.shape[-1]
    wide = tf.broadcast_to(x[:, :, None, :, None, :], [batch, height, 2, width, 2, channels])
    doubled = tf.reshape(wide, [batch, 2 * height, 2 * width, channels])
    doubled.set_shape([x.shape[0], *(None if n is None else 2 * n for n in x.shape[1:3]), channels])
    return doubled
