"""The images of a split as several runs see them, kept on disk until it is known which are shown."""

import pathlib
from dataclasses import dataclass

import cv2
import numpy as np

from msda_tf.evaluation import pictures
from msda_tf.labels import ClassList
from msda_tf.report.encode import webp
from msda_tf.report.gallery import image_score, shrunk

_LONGEST = 768


@dataclass(frozen=True)
class Page:
    """One image of the album.

    Attributes:
      name: of its file.
      width, height: of its pictures.
      scores: run -> the image's own mean IoU, 0-1.
      views: data URIs of the image, the ground truth, and each run's label map.
    """

    name: str
    width: int
    height: int
    scores: dict[str, float]
    views: tuple[str, ...]


class Album:
    """Takes every image of every run, one run after the other.

    Args:
      folder: for what is kept meanwhile; the first run's images must come before the others'.
      classes: of the label maps.
    """

    def __init__(self, folder: pathlib.Path, classes: ClassList):
        self._folder, self._classes = folder, classes
        self._scores: dict[str, dict[str, float]] = {}
        self._numbers: dict[str, int] = {}

    def see(self, run: str, name: str, image: np.ndarray, label: np.ndarray, labels: np.ndarray) -> None:
        """One image of one run.

        Args:
          run: by which it is shown.
          name: of the image's file.
          image: uint8 `[H, W, 3]` RGB.
          label: ground truth, trainIds uint8 `[H, W]`.
          labels: the run's label map.
        """
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            pictures.write_png(self._path(name, "image"), shrunk(image, _LONGEST, cv2.INTER_AREA))
            pictures.write_png(self._path(name, "truth"), shrunk(label, _LONGEST, cv2.INTER_NEAREST))
        pictures.write_png(self._path(name, run), shrunk(labels, _LONGEST, cv2.INTER_NEAREST))
        score = image_score(label, labels, classes=len(self._classes))
        if score is not None:
            self._scores.setdefault(name, {})[run] = score

    def chosen(self, count: int) -> tuple[list[Page], list[Page]]:
        """(images that another run than the first gains most on, those that one loses most on), most first.

        Args:
          count: at most so many of either kind.
        """
        gains, losses = [], []
        for name, scores in self._scores.items():
            first, *others = scores.values()
            gains.append((max(others) - first, name))
            losses.append((min(others) - first, name))
        gained = [name for gain, name in sorted(gains, key=lambda pair: -pair[0])[:count] if gain > 0]
        lost = [name for loss, name in sorted(losses, key=lambda pair: pair[0])[:count] if loss < 0]
        return [*map(self._page, gained)], [*map(self._page, lost)]

    def _page(self, name: str) -> Page:
        image = self._read(name, "image")
        maps = [self._read(name, "truth"), *(self._read(name, run) for run in self._scores[name])]
        views = [webp(image, quality=82)]
        views += [webp(pictures.colorize(labels, self._classes), lossless=True) for labels in maps]
        return Page(name, image.shape[1], image.shape[0], self._scores[name], tuple(views))

    def _path(self, name: str, view: str) -> pathlib.Path:
        return self._folder / f"{self._numbers[name]}-{view.encode().hex()[:100]}.png"

    def _read(self, name: str, view: str) -> np.ndarray:
        found = cv2.imread(str(self._path(name, view)), cv2.IMREAD_UNCHANGED)
        return found[..., ::-1] if found.ndim == 3 else found
