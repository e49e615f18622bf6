"""Masked image consistency: blocks of an image are hidden (L. Hoyer et al., "MIC", CVPR 2023)."""

import tensorflow as tf


def grid(height: int, width: int, block: int) -> tuple[int, int]:
    """Rows and columns of blocks: round(H / b) x round(W / b), at least one."""
    return max(1, round(height / block)), max(1, round(width / block))


def shown(draws: tf.Tensor, size: tuple[int, int], ratio: float) -> tf.Tensor:
    """Which pixels stay: bool `[B, H, W]`.

    Args:
      draws: float32 `[B, rows, columns]`, uniform in 0-1: a block stays where its own exceeds `ratio`.
      size: (H, W).
      ratio: expected share of the image that is hidden.
    """
    kept = tf.cast(draws > ratio, tf.uint8)[..., None]
    return tf.image.resize(kept, size, "nearest")[..., 0] > 0


def hidden(images: tf.Tensor, stays: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    """Images `[B, H, W, 3]`, float32 0-255, with the mean colour where `stays`, bool `[B, H, W]`, is false."""
    return tf.where(stays[..., None], tf.cast(images, tf.float32), tf.cast(mean, tf.float32))
