"""Bilinear up-sampling of maps, with the corner convention of the published weights."""

import tensorflow as tf


def upsample(maps: tf.Tensor, size, *, align_corners: bool = True) -> tf.Tensor:
    """Bilinear resize.

    Args:
      maps: `[B, h, w, C]` float.
      size: (H, W): integers, or an int32 tensor `[2]`.
      align_corners: True: the corner pixels of both grids coincide (Torch's `align_corners=True`, on which the
        published networks were trained). False: half-pixel centres, as `tf.image.resize`.

    Returns:
      float32 `[B, H, W, C]`.
    """
    maps = tf.cast(maps, tf.float32)
    return tf.raw_ops.ResizeBilinear(
        images=maps, size=tf.convert_to_tensor(size, tf.int32), align_corners=align_corners,
        half_pixel_centers=not align_corners,
    )  # fmt: skip
