"""The discriminator: from which domain does this map of class probabilities come?"""

import keras
import tensorflow as tf


class Discriminator(keras.layers.Layer):
    """Five 4x4 convolutions of stride 2 with LeakyReLU 0.2 between, no normalisation: AdaptSegNet's.

    Args:
      width: channels of the first layer; the next have 2, 4 and 8 times as many, the last has one.

    Maps class probabilities `[B, H, W, C]` to one logit for each patch, float32 `[B, H // 32, W // 32, 1]`
    (positive = source).

    Source: Y.-H. Tsai et al., "Learning to Adapt Structured Output Space", CVPR 2018, section 4.1.
    """

    def __init__(self, width: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.filters = (width, 2 * width, 4 * width, 8 * width, 1)

    def build(self, input_shape):
        # The frameworks' default of the published code: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for kernels and biases.
        self.kernels, self.biases = [], []
        channels = input_shape[-1]
        for number, filters in enumerate(self.filters):
            limit = (16 * channels) ** -0.5
            uniform = keras.initializers.RandomUniform(-limit, limit)
            self.kernels.append(
                self.add_weight(name=f"kernel_{number}", shape=(4, 4, channels, filters), initializer=uniform)
            )
            uniform = keras.initializers.RandomUniform(-limit, limit)
            self.biases.append(self.add_weight(name=f"bias_{number}", shape=(filters,), initializer=uniform))
            # tf.train.Checkpoint follows attributes but not Keras' lists.
            setattr(self, f"kernel_{number}", self.kernels[-1])
            setattr(self, f"bias_{number}", self.biases[-1])
            channels = filters

    def call(self, probabilities):
        x = tf.cast(probabilities, self.compute_dtype)
        last = len(self.kernels) - 1
        for number, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            x = _halve(x, tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias))
            if number < last:
                x = tf.nn.leaky_relu(x, alpha=0.2)
        return tf.cast(x, tf.float32)


def _halve(x, kernel, bias):
    """4x4 convolution of stride 2 with one pixel of zeros on every side: `[B, H, W, I]` to `[B, H // 2, W // 2, O]`.

    TensorFlow has fast gradients on CPUs only for its own kinds of padding. "SAME" starts at the same pixel, and where
    a side is odd gives one more output at its end.
    """
    y = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, "SAME"), bias)
    if x.shape[1:3].is_fully_defined():
        height, width = x.shape[1:3]
        return y if height % 2 == width % 2 == 0 else y[:, : height // 2, : width // 2]
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    return y[:, : height // 2, : width // 2]
