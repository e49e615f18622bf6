"""The images on which one column of the table gains and loses most against another."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from msda_tf.config.branches import MAX_MERGE, S_ALL
from msda_tf.evaluation import confusion
from msda_tf.labels import IGNORE

LARGEST = 1024
"""Pixels of the longer side: enough for a screen, and little enough to hold some dozens of images in memory."""

SMALL_CLASS = 0.001
"""Share of an image's labelled pixels below which a class does not count in its score: a dozen pixels would decide."""


@dataclass(frozen=True)
class Shot:
    """One image of the gallery.

    Attributes:
      name: of its file.
      image: uint8 `[H, W, 3]` RGB, at most 1024 pixels wide and high.
      label: uint8 `[H, W]` trainIds; None if nobody has labelled it.
      maps: column -> uint8 `[H, W]` trainIds.
      scores: column -> the image's score, 0-1.
      gain: by how much the one column's score is higher than the other's (its own score if there is no other); of an
        image without label, the share of its pixels that are disputed.
      photos: name -> uint8 `[H, W, 3]` RGB of further views.
    """

    name: str
    image: np.ndarray
    label: np.ndarray | None
    maps: dict[str, np.ndarray]
    scores: dict[str, float]
    gain: float
    photos: dict[str, np.ndarray] = field(default_factory=dict)


class Gallery:
    """Keeps the images with the highest and the lowest gain of those that it is shown.

    Attributes:
      count: how many of either kind.
      better, than: the columns compared, once an image was seen; `than` is None if there is only one column.
    """

    def __init__(self, count: int, *, classes: int):
        self.count, self._classes = count, classes
        self.better: str | None = None
        self.than: str | None = None
        # (gain or loss, number of the image, so that shots themselves are never compared, shot)
        self._improved: list[tuple[float, int, Shot]] = []
        self._damaged: list[tuple[float, int, Shot]] = []
        self._seen = 0

    def see(self, name: str, image: np.ndarray, label: np.ndarray, maps: dict[str, np.ndarray]) -> None:
        """Takes a scored image (see `msda_tf.evaluate.OnImage`)."""
        self.better, self.than = pair(list(maps))
        self._seen += 1
        scores = {column: image_score(label, prediction, classes=self._classes) for column, prediction in maps.items()}
        if not self.count or None in scores.values():
            return
        gain = scores[self.better] - (scores[self.than] if self.than else 0.0)
        shot = None
        for heap, value in ((self._improved, gain), (self._damaged, -gain)):
            # Without another column there are the best and the worst; with one, only what was changed for good or bad.
            if self.than and value <= 0:
                continue
            # Of equal ones the first stays: it has the larger key.
            entry = (value, -self._seen)
            if len(heap) == self.count and entry < heap[0][:2]:
                continue
            shot = shot or _shot(name, image, label, maps, scores, gain)
            (heapq.heappush if len(heap) < self.count else heapq.heappushpop)(heap, (*entry, shot))

    @property
    def improved(self) -> list[Shot]:
        """Images with the highest gain, best first."""
        return [shot for *_, shot in sorted(self._improved, reverse=True)]

    @property
    def damaged(self) -> list[Shot]:
        """Images with the lowest gain, worst first."""
        taken = {shot.name for shot in self.improved}  # possible where there is nothing to compare with
        return [shot for *_, shot in sorted(self._damaged, reverse=True) if shot.name not in taken]


def pair(columns: Sequence[str]) -> tuple[str, str | None]:
    """Which column is looked at, and which one it is compared with.

    Max Merge against S-All if there are both, else the last column against the one before it.
    """
    better = MAX_MERGE if MAX_MERGE in columns else columns[-1]
    others = [column for column in columns if column != better]
    pooled = [column for column in others if column.startswith(S_ALL)]
    return better, (pooled or others[-1:] or [None])[0]


def image_score(label: np.ndarray, prediction: np.ndarray, *, classes: int) -> float | None:
    """Mean IoU of one image over the classes that its label shows on at least `SMALL_CLASS` of the labelled pixels.

    Args:
      label: uint8 `[H, W]` trainIds, 255 = ignored.
      prediction: uint8 `[H, W]`.
      classes: C.

    Returns:
      0-1; None if no pixel has a class.
    """
    matrix = confusion.confusion_matrix(label, prediction, classes=classes)
    pixels = matrix.sum(axis=1)
    if not pixels.any():
        return None
    return float(confusion.class_iou(matrix)[pixels >= SMALL_CLASS * pixels.sum()].mean())


def changes(label: np.ndarray, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Where two label maps differ: uint8 `[H, W]`, 1 = only the new one is right, 2 = only the old one, 0 = else."""
    valid = label != IGNORE
    right_now, right_before = valid & (new == label), valid & (old == label)
    return (right_now & ~right_before) + 2 * (right_before & ~right_now).astype(np.uint8)


def _shot(name, image, label, maps, scores, gain) -> Shot:
    small = {column: _shrunk(prediction, cv2.INTER_NEAREST) for column, prediction in maps.items()}
    return Shot(name, _shrunk(image, cv2.INTER_AREA), _shrunk(label, cv2.INTER_NEAREST), small, dict(scores), gain)


def _shrunk(array: np.ndarray, interpolation: int) -> np.ndarray:
    return shrunk(array, LARGEST, interpolation).copy()


def shrunk(array: np.ndarray, longest: int, interpolation: int) -> np.ndarray:
    """The array `[H, W, ...]` with its longer side at most `longest`."""
    height, width = array.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return array
    return cv2.resize(
        array, (max(1, round(width * factor)), max(1, round(height * factor))), interpolation=interpolation
    )
