"""Images passed in overlapping windows, as networks are tested that were trained on crops of large images.

As in MMSegmentation (`EncoderDecoder.slide_inference`) and HRDA, whose windows overlap by half: scores are up-sampled
within their window, and where windows overlap their mean is taken.
"""

from collections.abc import Callable

import tensorflow as tf

from msda_tf.models.layers.resize import upsample


def sliding(
    network: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    images: tf.Tensor,
    window: tuple[int, int],
    *,
    classes: dict[str, int],
    align_corners: bool,
) -> dict[str, tf.Tensor]:
    """Scores of images, one window alive at a time.

    A window begins every half of its size, and the last one of a row or column ends where the image does. A side of
    the image that is shorter than the window's is passed whole.

    Args:
      network: of a part of the images `[B, h, w, 3]`, gives small maps float32 `[B, h', w', C]` by name.
      images: float `[B, H, W, 3]`.
      window: (height, width), at least 2 each.
      classes: C of each map.
      align_corners: see `msda_tf.models.layers.resize.upsample`.

    Returns:
      float32 `[B, H, W, C]` by name.
    """
    whole = tf.shape(images)[1:3]
    size = tf.minimum(tf.constant(window), whole)
    stride = tf.constant([side // 2 for side in window])
    rows_and_columns = 1 - (size - whole) // stride  # 1 + (whole - size) / stride, rounded up
    batch, static = tf.shape(images)[0], images.shape

    def step(number, count, totals):
        place = tf.stack([number // rows_and_columns[1], number % rows_and_columns[1]])
        start = tf.minimum(place * stride, whole - size)
        part = images[:, start[0] : start[0] + size[0], start[1] : start[1] + size[1]]
        around = tf.stack([start, whole - size - start], axis=1)  # (before, after) of each side
        paddings = tf.concat([[[0, 0]], around, [[0, 0]]], axis=0)
        small = network(part)

        def added(total, values):
            total_and_values = total + tf.pad(values, paddings)
            total_and_values.set_shape(total.shape)  # a loop's variables keep theirs
            return total_and_values

        count = added(count, tf.ones([1, size[0], size[1], 1]))
        totals = {
            name: added(total, upsample(small[name], size, align_corners=align_corners))
            for name, total in totals.items()
        }
        return number + 1, count, totals

    def zeros(batch, depth, known):
        maps = tf.zeros([batch, whole[0], whole[1], depth])
        maps.set_shape([known, *static[1:3], depth])
        return maps

    start = tf.constant(0), zeros(1, 1, 1), {name: zeros(batch, depth, static[0]) for name, depth in classes.items()}
    windows = tf.reduce_prod(rows_and_columns)
    _, count, totals = tf.while_loop(lambda number, *_: number < windows, step, start, parallel_iterations=1)
    return {name: total / count for name, total in totals.items()}
