"""ClassMix: half of a source image's classes pasted over a target image (V. Olsson et al., WACV 2021; DACS).

255 counts as a class, as in the published code: pasted, it hides what is below and trains nothing.
"""

import tensorflow as tf

from msda_tf.labels import IGNORE


def present(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Which classes each image shows.

    Args:
      labels: trainIds uint8 `[B, H, W]`.
      classes: C.

    Returns:
      bool `[B, C + 1]`; the last is 255.
    """
    ids = tf.reshape(_ids(labels, classes), [tf.shape(labels)[0], -1])
    counts = tf.math.bincount(ids, minlength=classes + 1, maxlength=classes + 1, axis=-1, binary_output=True)
    return tf.ensure_shape(counts > 0, [labels.shape[0], classes + 1])  # which bincount does not know in a graph


def chosen(shown: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Half of the classes shown, ceil(n / 2) of n, those with the highest draws: bool `[B, C + 1]`.

    Args:
      shown: bool `[B, C + 1]`.
      draws: float32 `[B, C + 1]`, uniform in 0-1.
    """
    count = tf.reduce_sum(tf.cast(shown, tf.int32), axis=-1, keepdims=True)
    order = tf.argsort(tf.where(shown, draws, -1.0), axis=-1, direction="DESCENDING", stable=True)
    rank = tf.argsort(order, axis=-1, stable=True)
    return shown & (rank < (count + 1) // 2)


def mask(labels: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Where the source's pixels are pasted: bool `[B, H, W]`.

    Args:
      labels: the source's trainIds, uint8 `[B, H, W]`.
      classes: bool `[B, C + 1]`, the classes to paste.
    """
    return tf.gather(classes, _ids(labels, classes.shape[-1] - 1), batch_dims=1)


def _ids(labels, classes):
    return tf.where(labels == IGNORE, classes, tf.cast(labels, tf.int32))
