"""Strong augmentation of batches: colour jitter and blur, as functions of draws that the caller makes.

The published recipes (DACS, DAFormer) draw from kornia's global generator. Here a draw belongs to a seed, a step and an
image's place in the batch, so that a run that goes on, or runs on other devices, sees the same images.
"""

import tensorflow as tf

GREY = (0.299, 0.587, 0.114)
"""ITU-R 601's weights of red, green and blue, as Pillow, OpenCV and Torchvision have them."""

JITTERED, BLURRED = 0.8, 0.5
"""Share of the batches whose colours change, and of those that are blurred (DACS)."""

SIGMAS = (0.15, 1.15)
"""Smallest and largest sigma of the blur, in pixels (DACS)."""

RADIUS = 5
"""Of the blur's kernel: beyond it, at the largest sigma, lies less than 1e-5 of the weight."""


def colour_jitter(images: tf.Tensor, brightness, contrast, saturation, hue) -> tf.Tensor:
    """Changes brightness, contrast, saturation and hue, in this order, as Torchvision's functions of these names do.

    Args:
      images: float32 `[B, H, W, 3]` RGB, 0-255.
      brightness, contrast, saturation: factors, float32 `[B]`; 1 changes nothing.
      hue: shift, float32 `[B]`, in turns of the colour circle; 0 changes nothing.

    Returns:
      float32 `[B, H, W, 3]`, 0-255.
    """
    brightness, contrast, saturation, hue = (
        tf.reshape(value, [-1, 1, 1, 1]) for value in (brightness, contrast, saturation, hue)
    )

    def blended(images, other, factor):
        return tf.clip_by_value(other + factor * (images - other), 0.0, 255.0)

    def grey(images):
        return tf.reduce_sum(images * GREY, axis=-1, keepdims=True)

    images = tf.clip_by_value(images, 0.0, 255.0)
    images = blended(images, 0.0, brightness)
    images = blended(images, tf.reduce_mean(grey(images), axis=[1, 2], keepdims=True), contrast)
    images = blended(images, grey(images), saturation)
    angle, colour, value = tf.split(tf.image.rgb_to_hsv(images / 255.0), 3, axis=-1)
    return 255.0 * tf.image.hsv_to_rgb(tf.concat([tf.math.floormod(angle + hue, 1.0), colour, value], axis=-1))


def blur(images: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """A Gaussian blur of each image by its own sigma, mirrored at the borders: float32 `[B, H, W, 3]`.

    Args:
      images: float32 `[B, H, W, 3]`.
      sigma: float32 `[B]`, in pixels, at most `SIGMAS[1]`.
    """
    batch, height, width, channels = images.shape
    offsets = tf.range(-RADIUS, RADIUS + 1, dtype=tf.float32)
    kernel = tf.exp(-tf.square(offsets[:, None] / sigma) / 2)
    kernel = tf.repeat(kernel / tf.reduce_sum(kernel, axis=0), channels, axis=1)[:, None, :, None]
    # All images side by side as channels of one, each of which has a kernel of its own.
    folded = tf.reshape(tf.transpose(images, [1, 2, 0, 3]), [1, height, width, batch * channels])
    border = min(RADIUS, height - 1, width - 1)  # mirroring needs as many pixels
    rest = RADIUS - border
    folded = tf.pad(folded, [[0, 0], [border, border], [border, border], [0, 0]], "REFLECT")
    folded = tf.pad(folded, [[0, 0], [rest, rest], [rest, rest], [0, 0]], "SYMMETRIC") if rest else folded
    for one in (kernel, tf.transpose(kernel, [1, 0, 2, 3])):
        folded = tf.nn.depthwise_conv2d(folded, one, [1, 1, 1, 1], "VALID")
    return tf.transpose(tf.reshape(folded, [height, width, batch, channels]), [2, 0, 1, 3])


def strong(images: tf.Tensor, *, jitter: float, blurred: bool, of_batch: tf.Tensor, of_images: tf.Tensor) -> tf.Tensor:
    """Colour jitter and blur, each of them for a part of the batches.

    Args:
      images: float32 `[B, H, W, 3]` RGB, 0-255.
      jitter: factors are drawn from 1 - jitter to 1 + jitter, the hue from -jitter to jitter; 0: none.
      blurred: whether there is any blur.
      of_batch: float32 `[2]`, uniform in 0-1: whether this batch's colours change, and whether it is blurred.
      of_images: float32 `[B, 5]`, uniform in 0-1: how much.

    Returns:
      float32 `[B, H, W, 3]`.
    """
    shape = images.shape
    if jitter:
        factors = tf.unstack(1.0 + jitter * (2.0 * of_images[:, :4] - 1.0), axis=1)
        images = tf.cond(
            of_batch[0] > 1.0 - JITTERED,
            lambda: colour_jitter(images, *factors[:3], factors[3] - 1.0),
            lambda: images,
        )
    if blurred:
        sharp = tf.ensure_shape(images, shape)
        sigma = SIGMAS[0] + (SIGMAS[1] - SIGMAS[0]) * of_images[:, 4]
        images = tf.cond(of_batch[1] > 1.0 - BLURRED, lambda: blur(sharp, sigma), lambda: sharp)
    return tf.ensure_shape(images, shape)
