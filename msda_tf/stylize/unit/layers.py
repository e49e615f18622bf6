"""What UNIT's networks are made of: convolutions with reflected borders, and normalisations that know no batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

EPSILON = 1e-5


class ReflectConv(keras.layers.Layer):
    """Convolution with bias over an image whose borders are reflected, so that stride 1 keeps its size.

    Args:
      filters: output channels.
      size: of the kernel, in pixels.
      stride: 1 or 2.
      stddev: of the starting weights' normal distribution; None: He's, sqrt(2 / fan_in). Biases start at 0.

    Maps `[B, H, W, I]` to `[B, H // stride, W // stride, filters]`; H and W must be multiples of the stride.
    """

    def __init__(self, filters: int, size: int, *, stride: int = 1, stddev: float | None = None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.size, self.stride, self.stddev = filters, size, stride, stddev

    def build(self, input_shape):
        fan_in = self.size**2 * input_shape[-1]
        normal = keras.initializers.RandomNormal(stddev=(2 / fan_in) ** 0.5 if self.stddev is None else self.stddev)
        shape = (self.size, self.size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=normal)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, x):
        pad = (self.size - 1) // 2
        if pad:
            x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]], "REFLECT")
        x = tf.nn.conv2d(x, tf.convert_to_tensor(self.kernel), self.stride, "VALID")
        return tf.nn.bias_add(x, tf.convert_to_tensor(self.bias))


@dataclass(frozen=True)
class Norm:
    """A normalisation of float32 `[B, H, W, C]`.

    Attributes:
      axes: over which mean and variance are taken.
      apply: `(x, mean, variance) -> normalised x`.
    """

    axes: tuple[int, ...]
    apply: Callable

    def __call__(self, x: tf.Tensor, moments: tuple[tf.Tensor, tf.Tensor] | None = None) -> tf.Tensor:
        """x normalised, in its own dtype, by its own mean and variance or by those given (axes kept)."""
        wide = tf.cast(x, tf.float32)
        mean, variance = moments or tf.nn.moments(wide, self.axes, keepdims=True)
        return tf.cast(self.apply(wide, mean, variance), x.dtype)


def _by_deviation(x, mean, variance):
    # The square root has no finite slope at 0, where an image of one value would take it.
    return (x - mean) / (tf.sqrt(tf.maximum(variance, EPSILON**2)) + EPSILON)


INSTANCE = Norm((1, 2), lambda x, mean, variance: (x - mean) * tf.math.rsqrt(variance + EPSILON))
"""Each channel of each image to mean 0 and variance 1; without weights.

Source: D. Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
"""

SAMPLE = Norm((1, 2, 3), _by_deviation)
"""All of an image's values together to mean 0 and deviation 1.

Unlike instance norm it leaves the differences between an image's channels as they are: its colours.
"""


class ChannelScale(keras.layers.Layer):
    """A scale and a shift by channel, `[B, H, W, C]` to the same: what follows the sample norm.

    The scales start uniformly between 0 and 1, as in UNIT's published code.
    """

    def build(self, input_shape):
        uniform = keras.initializers.RandomUniform(0.0, 1.0)
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer=uniform)
        self.beta = self.add_weight(name="beta", shape=(input_shape[-1],), initializer="zeros")

    def call(self, x):
        return x * tf.convert_to_tensor(self.gamma) + tf.convert_to_tensor(self.beta)


@dataclass(frozen=True)
class Stage:
    """A piece of a network that ends where a normalisation begins.

    An image can so be taken through a network in tiles that are all normalised by the moments of the whole (see
    `msda_tf.stylize.tiles`). Two values travel from stage to stage: what the last stage gave, normalised, and what a
    residual block keeps of its input.

    Attributes:
      enter: (kept, y) of the stage before -> x.
      layer: x -> y.
      norm: of y; None for a network's output.
      keep: "input" keeps x, "kept" passes on what was kept, "nothing" ends a block.
    """

    enter: Callable
    layer: Callable
    norm: Norm | None
    keep: str = "nothing"

    def __call__(self, kept, y):
        """(kept, y not yet normalised)."""
        x = self.enter(kept, y)
        return {"input": x, "kept": kept, "nothing": None}[self.keep], self.layer(x)


def forward(stages: Sequence[Stage], x: tf.Tensor) -> tf.Tensor:
    """x through all stages of a network, each normalised by its own moments."""
    kept, y = None, x
    for stage in stages:
        kept, y = stage(kept, y)
        y = stage.norm(y) if stage.norm else y
    return y


def plain(kept, y):
    """The way into a network's first stage."""
    return y


def activated(kept, y):
    """The way into a stage behind a ReLU."""
    return tf.nn.relu(y)


def added(kept, y):
    """The way out of a residual block."""
    return kept + y


class ResidualBlock(keras.layers.Layer):
    """`x + norm(conv(relu(norm(conv(x)))))`: two 3x3 convolutions that keep size and channels, instance norm."""

    def build(self, input_shape):
        channels = input_shape[-1]
        self.first = ReflectConv(channels, 3, name="first")
        self.second = ReflectConv(channels, 3, name="second")
        self.first.build(input_shape)
        self.second.build(input_shape)

    def stages(self, enter: Callable) -> list[Stage]:
        """Both convolutions; the next stage enters by `added`."""
        return [
            Stage(enter, self.first, INSTANCE, keep="input"),
            Stage(activated, self.second, INSTANCE, keep="kept"),
        ]
