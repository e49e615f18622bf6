"""From raw images to label maps: what evaluation, prediction and the exported model all run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import tensorflow as tf

from msda_tf.config.branches import EQUATION_6, MAX_MERGE
from msda_tf.evaluation.cross_source import Calibration
from msda_tf.inference import merge
from msda_tf.inference.windows import sliding
from msda_tf.models.layers.resize import upsample
from msda_tf.models.preprocess import centred, resized
from msda_tf.models.segmenter import MultiSourceSegmenter


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
      align_corners: see `msda_tf.models.layers.resize.upsample`.
      window: (height, width) of the input's overlapping windows that pass the network one by one; None: all at once.
    """

    segmenter: MultiSourceSegmenter
    branches: dict[str, str]
    mean: tuple[float, float, float]
    scale: float = 1.0
    size: tuple[int, int] | None = None
    level: str = "output"
    align_corners: bool = True
    window: tuple[int, int] | None = None

    def logits(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Raw logits `{shown name: float32 [B, h, w, C]}` of uint8 RGB images `[B, H, W, 3]`, not up-sampled.

        In windows they are up-sampled to the network's input.
        """
        inputs = centred(self._resized(images), self.mean)
        if self.window is None:
            return self._small(inputs)
        classes = dict.fromkeys(self.branches, self.segmenter.num_classes)
        return sliding(self._small, inputs, self.window, classes=classes, align_corners=self.align_corners)

    def _small(self, inputs):
        names = tuple(self.branches.values())
        maps = self.segmenter(inputs, branches=names, levels=(self.level,), training=False)[self.level]
        return {shown: tf.cast(maps[name], tf.float32) for shown, name in self.branches.items()}

    def _resized(self, images):
        """Images of whole levels at the network's input size."""
        if self.size is None and self.scale == 1.0:
            return images
        if self.size is not None:
            size = tf.constant(self.size)
        else:
            size = tf.cast(tf.round(tf.cast(tf.shape(images)[1:3], tf.float32) * self.scale), tf.int32)
            size = tf.maximum(size, 1)
        return resized(images, size)


class SmallMap(NamedTuple):
    """Scores `[B, h, w, C]`, and how they are to be up-sampled."""

    maps: tf.Tensor
    align_corners: bool


@dataclass(frozen=True)
class Inference:
    """Several branches of one or more networks, merged.

    Attributes:
      members: at least one; shown names must differ over all members.
      rule: how branches are merged (`msda_tf.inference.merge.RULES`).
      merge_at: "image": for each pixel of the image; "map": on the networks' small maps, which are then up-sampled.
      merged: names of the branches that take part in the merge; all if none is given.
      calibrations: by branch; those of `merged` are needed for a rule of `msda_tf.inference.merge.CALIBRATED`.
      flip: average the logits of the image and of its mirror image (test-time augmentation), for twice the time.
    """

    members: Sequence[Member]
    rule: str = "max-logit"
    merge_at: str = "image"
    merged: Sequence[str] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    flip: bool = False

    def __post_init__(self):
        names = self.branch_names
        if len(set(names)) != len(names):
            raise ValueError(f"branch names differ, not {names}")
        object.__setattr__(self, "merged", tuple(self.merged or names))

    def with_members(self, **changes) -> "Inference":
        """The same with these attributes of every member changed."""
        return replace(self, members=[replace(member, **changes) for member in self.members])

    @property
    def branch_names(self) -> list[str]:
        """Shown names of all branches, in order."""
        return [name for member in self.members for name in member.branches]

    @property
    def merges(self) -> dict[str, tuple[str, str]]:
        """Name -> (rule, merge_at) of what tables show: Max Merge, and the paper's (eq. 6) where that is another."""
        merges = {MAX_MERGE: (self.rule, self.merge_at)}
        return merges if self.rule == "max-logit" else {**merges, EQUATION_6: ("max-logit", "image")}

    def segment(self, images: tf.Tensor, size=None) -> tf.Tensor:
        """The merged label map.

        Args:
          images: uint8 `[B, H, W, 3]` RGB, any size.
          size: (H', W') of the map: the images' own by default.

        Returns:
          trainIds uint8 `[B, H', W']`.
        """
        maps, size = self._maps(images), tf.shape(images)[1:3] if size is None else size
        if self.merge_at == "map":
            return merge.top_class(_upsample(self._merged_map(maps, self.rule), size))[1]
        # A generator: eagerly, only one branch's large map exists at a time.
        large = (_upsample(maps[name], size) for name in self.merged)
        return merge.merge_labels(large, self.rule, self._shares(self.rule))[1]

    def segment_with_confidence(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The same label map, and how sure it is.

        Args:
          images: uint8 `[B, H, W, 3]` RGB, any size.

        Returns:
          trainIds uint8 `[B, H, W]`, and the probability of that class float32 `[B, H, W]`, 0-1: the softmax of the
          merged logits, or the class's share of the merged probabilities.
        """
        maps, size = self._maps(images), tf.shape(images)[1:3]
        if self.merge_at == "map":
            scores = _upsample(self._merged_map(maps, self.rule), size)
        else:
            large = (_upsample(maps[name], size) for name in self.merged)
            scores = merge.merge_scores(large, self.rule, self._shares(self.rule))
        top, labels = merge.top_class(scores)
        if self.rule == "max-logit":
            confidence = tf.exp(top - tf.reduce_logsumexp(scores, axis=-1))
        else:
            confidence = top / tf.reduce_sum(scores, axis=-1)
        return labels, confidence

    def label_maps(
        self, images: tf.Tensor, size=None, rules: dict[str, tuple[str, str]] | None = None
    ) -> dict[str, tf.Tensor]:
        """Label maps of every branch by itself and, if several take part in it, of their merge.

        Args:
          images: uint8 `[B, H, W, 3]` RGB.
          size: (H', W') of the maps: the images' own by default.
          rules: name -> (rule, merge_at) of the merges; by default the own one under `MAX_MERGE`.

        Returns:
          trainIds uint8 `[B, H', W']` by name.
        """
        size = tf.shape(images)[1:3] if size is None else size
        return self._labels_and_logits(images, size, rules)[0]

    def label_maps_and_samples(
        self, images: tf.Tensor, step: tf.Tensor | int, rules: dict[str, tuple[str, str]] | None = None
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """What `label_maps` gives, and the logits of every branch on a grid of pixels.

        Args:
          images: uint8 `[B, H, W, 3]` RGB.
          step: of the grid, pixels: rows and columns 0, step, 2 step, ...
          rules: as for `label_maps`.

        Returns:
          label maps by name; and float32 `[B, H / step, W / step, C]`, rounded up, by branch.
        """
        labels, large = self._labels_and_logits(images, tf.shape(images)[1:3], rules)
        return labels, {name: logits[:, ::step, ::step] for name, logits in large.items()}

    def _labels_and_logits(self, images, size, rules):
        rules = {MAX_MERGE: (self.rule, self.merge_at)} if rules is None else rules
        maps = self._maps(images)
        large = {name: _upsample(value, size) for name, value in maps.items()}
        labels = {name: merge.top_class(value)[1] for name, value in large.items()}
        if len(self.merged) < 2:
            return labels, large
        for shown, (rule, merge_at) in rules.items():
            if merge_at == "map":
                _, labels[shown] = merge.top_class(_upsample(self._merged_map(maps, rule), size))
            else:
                chosen = [large[name] for name in self.merged]
                _, labels[shown] = merge.merge_labels(chosen, rule, self._shares(rule))
        return labels, large

    def logits(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Raw logits of every branch at the size of the images: float32 `[B, H, W, C]` of uint8 RGB `[B, H, W, 3]`."""
        return {name: _upsample(value, tf.shape(images)[1:3]) for name, value in self._maps(images).items()}

    def _maps(self, images) -> dict[str, SmallMap]:
        """Each branch's logits as its member gives them."""
        small = {}
        for member in self.members:
            logits = member.logits(images)
            if self.flip:
                mirrored = member.logits(tf.reverse(images, [2]))
                logits = {name: (maps + tf.reverse(mirrored[name], [2])) / 2 for name, maps in logits.items()}
            small |= {name: SmallMap(maps, member.align_corners) for name, maps in logits.items()}
        return small

    def _merged_map(self, maps, rule) -> SmallMap:
        first = maps[self.merged[0]]
        # Networks that see images of different sizes have maps of different sizes: they meet at the first one's.
        size = tf.shape(first.maps)[1:3]
        others = [_upsample(maps[name], size) for name in self.merged[1:]]
        return SmallMap(merge.merge_scores([first.maps, *others], rule, self._shares(rule)), first.align_corners)

    def _shares(self, rule):
        return merge.shares_of(rule, self.calibrations, self.merged)


def _upsample(small: SmallMap, size) -> tf.Tensor:
    return upsample(small.maps, size, align_corners=small.align_corners)
