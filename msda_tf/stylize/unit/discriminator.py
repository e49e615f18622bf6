"""UNIT's discriminator: the same question asked of an image at three sizes."""

import keras
import tensorflow as tf

from msda_tf.stylize.unit.layers import ReflectConv

SCALES = 3
LAYERS = 4


class UnitDiscriminator(keras.layers.Layer):
    """For the image at full, half and quarter size: four 4x4 stride-2 convolutions, LeakyReLU 0.2, then 1x1 to 1.

    Args:
      channels: of the first convolution; the next have 2, 4 and 8 times as many.

    Maps images `[B, H, W, 3]` in -1..1 to three maps of answers, one value for each patch, float32
    `[B, H / (16 * s), W / (16 * s), 1]` for s = 1, 2, 4. Least squares: a real image should get 1.

    Source: as `msda_tf.stylize.unit.autoencoder.UnitEncoder`.
    """

    def __init__(self, channels: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape):
        for scale in range(SCALES):
            inputs = 3
            for number in range(LAYERS):
                filters = self.channels * 2**number
                self._add(scale, number, inputs, filters=filters, size=4, stride=2)
                inputs = filters
            self._add(scale, LAYERS, inputs, filters=1, size=1, stride=1)

    def _add(self, scale, number, inputs, *, filters, size, stride):
        name = f"scale_{scale}_conv_{number}"
        layer = ReflectConv(filters, size, stride=stride, stddev=0.02, name=name)
        layer.build((None, None, None, inputs))
        setattr(self, name, layer)

    def call(self, images):
        x, answers = tf.cast(images, self.compute_dtype), []
        for scale in range(SCALES):
            y = x
            for number in range(LAYERS):
                y = tf.nn.leaky_relu(getattr(self, f"scale_{scale}_conv_{number}")(y), alpha=0.2)
            answers.append(tf.cast(getattr(self, f"scale_{scale}_conv_{LAYERS}")(y), tf.float32))
            x = halved(x)
        return answers


def halved(x: tf.Tensor) -> tf.Tensor:
    """3x3 means at stride 2 of `[B, H, W, C]`, over the pixels that exist: at borders over fewer than nine.

    TensorFlow's "SAME" would shift an image of even size by half a pixel.
    """
    around = [[0, 0], [1, 1], [1, 1], [0, 0]]

    def pooled(values):
        return tf.nn.avg_pool2d(tf.pad(values, around), 3, 2, "VALID")

    existing = tf.ones_like(x[:1, :, :, :1])
    return pooled(x) / pooled(existing)
