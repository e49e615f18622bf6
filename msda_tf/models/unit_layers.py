"""What UNIT's networks are made of: convolutions with reflected borders, and normalisations that know no batch."""

from collections.abc import Callable

import keras
import tensorflow as tf

EPSILON = 1e-5

Moments = Callable[[tf.Tensor, list[int]], tuple[tf.Tensor, tf.Tensor]]
"""Mean and variance of float32 `[B, H, W, C]` over axes, which are kept with length 1.

The networks ask for them once for each normalisation, always in the same order, so that a picture which is translated
in tiles can be given the moments of the whole (see `msda_tf.stylize.tiles`).
"""


def own_moments(x: tf.Tensor, axes: list[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Those of x itself."""
    return tf.nn.moments(x, axes, keepdims=True)


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


def instance_norm(x: tf.Tensor, moments: Moments = own_moments) -> tf.Tensor:
    """Each channel of each image `[B, H, W, C]` to mean 0 and variance 1; without weights.

    Source: D. Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
    """
    wide = tf.cast(x, tf.float32)
    mean, variance = moments(wide, [1, 2])
    return tf.cast((wide - mean) * tf.math.rsqrt(variance + EPSILON), x.dtype)


class SampleNorm(keras.layers.Layer):
    """All of an image's values `[H, W, C]` together to mean 0 and deviation 1, then a scale and shift by channel.

    Unlike instance norm it leaves the differences between an image's channels as they are: its colours. The scales
    start uniformly between 0 and 1, as in UNIT's published code.
    """

    def build(self, input_shape):
        uniform = keras.initializers.RandomUniform(0.0, 1.0)
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer=uniform)
        self.beta = self.add_weight(name="beta", shape=(input_shape[-1],), initializer="zeros")

    def call(self, x, moments: Moments = own_moments):
        wide = tf.cast(x, tf.float32)
        mean, variance = moments(wide, [1, 2, 3])
        # The square root has no finite slope at 0, where an image of one value would take it.
        deviation = tf.sqrt(tf.maximum(variance, EPSILON**2)) + EPSILON
        normal = tf.cast((wide - mean) / deviation, x.dtype)
        return normal * tf.convert_to_tensor(self.gamma) + tf.convert_to_tensor(self.beta)


class ResidualBlock(keras.layers.Layer):
    """`x + norm(conv(relu(norm(conv(x)))))`: two 3x3 convolutions that keep size and channels, instance norm."""

    def build(self, input_shape):
        channels = input_shape[-1]
        self.first = ReflectConv(channels, 3, name="first")
        self.second = ReflectConv(channels, 3, name="second")
        self.first.build(input_shape)
        self.second.build(input_shape)

    def call(self, x, moments: Moments = own_moments):
        y = tf.nn.relu(instance_norm(self.first(x), moments))
        return x + instance_norm(self.second(y), moments)
