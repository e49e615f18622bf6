"""Feature distance: the network should not forget what its starting weights know of things (DAFormer, CVPR 2022)."""

import tensorflow as tf

SHARE = 0.75
"""Of the pixels below a cell of the map that must be of one class."""


def cells_of(labels: tf.Tensor, size, classes: tuple[int, ...]) -> tf.Tensor:
    """Cells of a map that show mostly one of some classes: float32 `[B, h, w]`, 1 or 0.

    Args:
      labels: trainIds uint8 `[B, H, W]`.
      size: (h, w).
      classes: which.
    """
    shares = tf.image.resize(tf.stack([tf.cast(labels == c, tf.float32) for c in classes], axis=-1), size, "area")
    return tf.cast(tf.reduce_max(shares, axis=-1) >= SHARE, tf.float32)


def distance(features: tf.Tensor, start: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """Sum over cells of the L2 norm, over channels, of what changed: float32 `[]`.

    To be divided by the number of cells, which may be 0. Its gradient is 0, not NaN, where nothing has changed.

    Args:
      features, start: `[B, h, w, D]` of the network and of its starting weights.
      cells: float32 `[B, h, w]`, 1 where a cell counts.
    """
    squares = tf.reduce_sum(tf.square(tf.cast(features, tf.float32) - tf.cast(start, tf.float32)), axis=-1)
    return tf.reduce_sum(cells * tf.sqrt(tf.maximum(squares, 1e-12)))
