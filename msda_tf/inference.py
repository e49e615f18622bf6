"""From raw images to label maps: what evaluation, prediction and the exported model all run."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from msda_tf.evaluation import merge
from msda_tf.models.resize import upsample
from msda_tf.models.segmenter import MultiSourceSegmenter

MAX_MERGE = "Max Merge"
"""The name of the merged map in every table and file."""


@dataclass(frozen=True)
class Member:
    """One network, and how images must reach it.

    Attributes:
      segmenter: with its weights.
      branches: shown name -> the segmenter's own name of each branch to use, in order.
      mean: RGB mean to subtract, 0-255.
      scale: of the network's input against the image.
      size: fixed (height, width) of the input instead; None to follow `scale`.
      level: "output" or "feature".
      align_corners: see `msda_tf.models.resize.upsample`.
    """

    segmenter: MultiSourceSegmenter
    branches: dict[str, str]
    mean: tuple[float, float, float]
    scale: float = 1.0
    size: tuple[int, int] | None = None
    level: str = "output"
    align_corners: bool = True

    def logits(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Raw logits `{shown name: float32 [B, h, w, C]}` of uint8 RGB images `[B, H, W, 3]`, not up-sampled."""
        inputs = self._resized(images) - tf.constant(self.mean, tf.float32)
        names = tuple(self.branches.values())
        maps = self.segmenter(inputs, branches=names, levels=(self.level,), training=False)[self.level]
        return {shown: tf.cast(maps[name], tf.float32) for shown, name in self.branches.items()}

    def _resized(self, images):
        """Float32 images of whole levels at the network's input size, as the training pipeline makes them."""
        if self.size is None and self.scale == 1.0:
            return tf.cast(images, tf.float32)
        if self.size is not None:
            size = tf.constant(self.size)
        else:
            size = tf.cast(tf.round(tf.cast(tf.shape(images)[1:3], tf.float32) * self.scale), tf.int32)
            size = tf.maximum(size, 1)
        resized = tf.image.resize(images, size, "bicubic", antialias=True)
        return tf.clip_by_value(tf.round(resized), 0.0, 255.0)


class Inference:
    """Several branches of one or more networks, merged.

    Args:
      members: at least one; shown names must differ over all members.
      rule: how branches are merged (`msda_tf.evaluation.merge.RULES`).
      merge_at: "image": for each pixel of the image; "map": on the network's small maps, which are then up-sampled.
    """

    def __init__(self, members: Sequence[Member], *, rule: str = "max-logit", merge_at: str = "image"):
        self.members, self.rule, self.merge_at = tuple(members), rule, merge_at
        names = self.branch_names
        if len(set(names)) != len(names):
            raise ValueError(f"branch names differ, not {names}")

    @property
    def branch_names(self) -> list[str]:
        """Shown names of all branches, in order."""
        return [name for member in self.members for name in member.branches]

    def segment(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The merged label map.

        Args:
          images: uint8 `[B, H, W, 3]` RGB, any size.

        Returns:
          (trainIds uint8 `[B, H, W]`, the winning score of the merge rule float32 `[B, H, W]`).
        """
        size = tf.shape(images)[1:3]
        if self.merge_at == "map":
            scores, labels = merge.top_class(
                upsample(self._merged_map(images), size, align_corners=self._align_corners)
            )
        else:
            scores, labels = merge.merge_labels((maps for _, maps in self._image_logits(images, size)), self.rule)
        return labels, scores

    def label_maps(self, images: tf.Tensor, size=None) -> dict[str, tf.Tensor]:
        """Label maps of every branch by itself and, if there are several, of their merge under `MAX_MERGE`.

        Args:
          images: uint8 `[B, H, W, 3]` RGB.
          size: (H', W') of the maps: the images' own by default.

        Returns:
          trainIds uint8 `[B, H', W']` by name.
        """
        size = tf.shape(images)[1:3] if size is None else size
        labels = {}

        def each():
            for name, maps in self._image_logits(images, size):
                labels[name] = merge.top_class(maps)[1]
                yield maps

        if self.merge_at == "map":
            merged = upsample(self._merged_map(images), size, align_corners=self._align_corners)
            _, result = merge.top_class(merged)
            for _ in each():
                pass
        else:
            _, result = merge.merge_labels(each(), self.rule)
        return labels if len(labels) == 1 else {**labels, MAX_MERGE: result}

    @property
    def _align_corners(self):
        return self.members[0].align_corners

    def _image_logits(self, images, size):
        for member in self.members:
            for name, maps in member.logits(images).items():
                yield name, upsample(maps, size, align_corners=member.align_corners)

    def _merged_map(self, images):
        maps = [maps for member in self.members for maps in member.logits(images).values()]
        # Networks that see images of different sizes have maps of different sizes: they meet at the first one's.
        size = tf.shape(maps[0])[1:3]
        same = [maps[0], *(upsample(other, size, align_corners=self._align_corners) for other in maps[1:])]
        return merge.merge_scores(same, self.rule)
