"""Random scale and crop of an example, by draws that belong to the seed and its position in the stream."""

from dataclasses import dataclass

import tensorflow as tf

from msda_tf.data.transforms import Size
from msda_tf.labels import IGNORE

TRIES = 10
"""Crops drawn before one is taken that is not as wanted (MMSegmentation, DAFormer)."""


@dataclass(frozen=True)
class Crops:
    """How examples are cropped.

    Attributes:
      size: (height, width) of crops.
      scale: smallest and largest factor by which an image is resized before; never below the crop's size.
      max_share: largest part of a crop's labelled pixels that one class should have; 1: any.
      least: pixels that a crop should have, at least, of the class for which its image was drawn.
    """

    size: Size
    scale: tuple[float, float] = (1.0, 1.0)
    max_share: float = 1.0
    least: float = 0.0

    def scaled(self, size: Size, key: tf.Tensor):
        """(height, width) to which an image that would be of `size` is resized: `size`, or int32 `[2]` drawn."""
        if self.scale == (1.0, 1.0):
            return size
        factor = tf.random.stateless_uniform([], key, *self.scale, alg="philox")
        return tf.maximum(tf.cast(tf.round(factor * tf.constant(size, tf.float32)), tf.int32), self.size)

    def cut(self, example: dict[str, tf.Tensor], key: tf.Tensor, wanted: tf.Tensor | None = None) -> dict:
        """The first of ten random crops that is as wanted, else the last.

        Args:
          example: maps `[H, W, ...]` of one size, among them `label` uint8 `[H, W]` if any crop is to be preferred; and
            perhaps `context`, the whole image in another size: it stays, and `window` is added, where the crop lies.
          key: int64 `[2]`.
          wanted: int64 `[]`, the class of which the crop should show `least`; negative or None: any.
        """
        height, width = self.size
        maps = {name: value for name, value in example.items() if name not in ("filename", "context")}
        size = tf.shape(maps["image"])[:2]
        room = size - self.size + 1
        draws = tf.random.stateless_uniform([TRIES, 2], key, alg="philox")
        corners = tf.minimum(tf.cast(draws * tf.cast(room, tf.float32), tf.int32), room - 1)

        def crop(value, number):
            top, left = corners[number, 0], corners[number, 1]
            found = value[top : top + height, left : left + width]
            return tf.ensure_shape(found, [height, width, *value.shape[2:]])

        number = tf.constant(0)
        if "label" in maps and (self.max_share < 1 or wanted is not None):
            number = tf.while_loop(
                lambda number: (number < TRIES - 1) & ~self.good(crop(maps["label"], number), wanted),
                lambda number: (number + 1,),
                [number],
            )[0]
        cropped = {name: crop(value, number) for name, value in maps.items()}
        if "context" in example:
            cropped["window"] = window(corners[number], self.size, size)
        return {**example, **cropped}

    def good(self, label: tf.Tensor, wanted: tf.Tensor | None = None) -> tf.Tensor:
        """Whether a crop's label, uint8 `[h, w]`, is as wanted: bool `[]`."""
        counts = tf.math.bincount(tf.cast(tf.reshape(label, [-1]), tf.int32), minlength=256, maxlength=256)
        counts = tf.cast(counts[:IGNORE], tf.float32)
        varied = tf.constant(True)
        if self.max_share < 1:
            # One class alone, or none, is too little variety whatever its share.
            varied = tf.reduce_max(counts) < self.max_share * tf.reduce_sum(counts)
        if wanted is None:
            return varied
        return varied & ((wanted < 0) | (counts[tf.maximum(wanted, 0)] > self.least))


def window(corner, size, whole) -> tf.Tensor:
    """Where a crop lies in an image, as `tf.image.crop_and_resize` has it: float32 `[4]`.

    Args:
      corner: (top, left) in pixels, ints or int32 `[2]`.
      size: (height, width) of the crop.
      whole: those of the image.

    Returns:
      (top, left, bottom, right), 0 being the middle of the first pixel and 1 that of the last one.
    """
    first, last = tf.cast(corner, tf.float32), tf.cast(tf.constant(size) + corner - 1, tf.float32)
    return tf.concat([first, last], 0) / tf.tile(tf.maximum(tf.cast(whole, tf.float32) - 1, 1), [2])


def inside_margins(size: Size, margins: tuple[float, float, float, float]) -> tf.Tensor:
    """1 inside of an image's margins, 0 in them: uint8 `[H, W]`.

    Args:
      size: (H, W).
      margins: top, bottom, left and right, as parts of the height and of the width.
    """
    height, width = size
    top, bottom, left, right = (
        round(ratio * length) for ratio, length in zip(margins, (height, height, width, width), strict=True)
    )
    rows = (tf.range(height) >= top) & (tf.range(height) < height - bottom)
    columns = (tf.range(width) >= left) & (tf.range(width) < width - right)
    return tf.cast(rows[:, None] & columns, tf.uint8)
