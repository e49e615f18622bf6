"""Bicubic resizing of small tables as two matrix products, with Torch's two kinds of weights."""

import tensorflow as tf


def resize_table(table: tf.Tensor, size, *, antialias: bool) -> tf.Tensor:
    """A table of another height and width.

    Args:
      table: float32 `[h, w, C]`.
      size: (H, W): integers or scalars of int32.
      antialias: as Torch's `interpolate(mode="bicubic", antialias=True)`; False: as without it, where neighbours are
        four whatever the size, and the cubic's parameter is -0.75 instead of -0.5.

    Returns:
      float32 `[H, W, C]`. `tf.image.resize` has the parameter -0.5 in both cases.
    """
    rows = _matrix(size[0], table.shape[0], antialias)
    columns = _matrix(size[1], table.shape[1], antialias)
    height, width, channels = table.shape
    tall = tf.matmul(rows, tf.reshape(table, [height, width * channels]))
    tall = tf.reshape(tall, [-1, width, channels])
    return tf.matmul(tf.tile(columns[tf.newaxis], [tf.shape(tall)[0], 1, 1]), tall)


def _matrix(new, old: int, antialias: bool) -> tf.Tensor:
    """`[new, old]`: what each output takes from each input."""
    scale = old / tf.cast(new, tf.float32)
    centre = (tf.range(tf.cast(new, tf.float32)) + 0.5) * scale
    if antialias:
        distance = (tf.range(old, dtype=tf.float32) + 0.5 - centre[:, tf.newaxis]) / tf.maximum(scale, 1.0)
        weights = _cubic(tf.abs(distance), -0.5)
        return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
    first = tf.floor(centre - 0.5)
    total = 0.0
    for tap in (-1, 0, 1, 2):
        weights = _cubic(tf.abs(centre - 0.5 - first - tap), -0.75)
        position = tf.clip_by_value(tf.cast(first, tf.int32) + tap, 0, old - 1)
        total += weights[:, tf.newaxis] * tf.one_hot(position, old)
    return total


def _cubic(x: tf.Tensor, a: float) -> tf.Tensor:
    """Keys' kernel at distance x >= 0."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return tf.where(x < 1, near, tf.where(x < 2, far, 0.0))
