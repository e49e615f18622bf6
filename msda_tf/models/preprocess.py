"""How an image reaches a network, in training, inference and the exported model alike: resized, then centred."""

import tensorflow as tf

Size = tuple[int, int]
"""(height, width) in pixels."""


def resized(images: tf.Tensor, size) -> tf.Tensor:
    """Bicubic with antialiasing, rounded to whole levels.

    `msda_tf.data.transforms.resize_image` gives the same for one image, faster on a CPU.

    Args:
      images: uint8 `[B, H, W, 3]`.
      size: (height, width): integers, or an int32 tensor `[2]`.

    Returns:
      float32 `[B, *size, 3]`, 0-255.
    """
    return tf.clip_by_value(tf.round(tf.image.resize(images, size, "bicubic", antialias=True)), 0.0, 255.0)


def centred(images: tf.Tensor, mean) -> tf.Tensor:
    """Images `[B, H, W, 3]` RGB, 0-255, minus a mean of three: float32."""
    return tf.cast(images, tf.float32) - tf.convert_to_tensor(mean, tf.float32)
