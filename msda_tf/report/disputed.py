"""The images of a target without labels on which the branches disagree most."""

import heapq
from collections.abc import Sequence

import cv2
import numpy as np

from msda_tf.evaluation import pictures
from msda_tf.report.gallery import LARGEST, Shot, shrunk

DISAGREEMENT = "Disagreement"


class Disputed:
    """Keeps the images with the largest share of disputed pixels of those that it is shown.

    Args:
      count: how many.
    """

    def __init__(self, count: int):
        self._count = count
        self._kept: list[tuple[float, int, Shot]] = []
        self._seen = 0

    def see(self, name: str, image: np.ndarray, maps: dict[str, np.ndarray], merged: Sequence[str]) -> None:
        """The next image.

        Args:
          name: of its file.
          image: uint8 `[H, W, 3]` RGB.
          maps: branch or merge -> trainIds uint8 `[H, W]`.
          merged: the branches that are compared.
        """
        self._seen += 1
        share = float(pictures.differ([maps[branch] for branch in merged]).mean())
        # Of equal ones the first stays.
        entry = share, -self._seen
        if not self._count or (len(self._kept) == self._count and entry < self._kept[0][:2]):
            return
        small = {key: shrunk(labels, LARGEST, cv2.INTER_NEAREST).copy() for key, labels in maps.items()}
        photos = {}
        if len(merged) > 1:
            drawn = pictures.disagreement(image, [maps[branch] for branch in merged])
            photos[DISAGREEMENT] = shrunk(drawn, LARGEST, cv2.INTER_AREA).copy()
        shot = Shot(name, shrunk(image, LARGEST, cv2.INTER_AREA).copy(), None, small, {}, share, photos)
        (heapq.heappush if len(self._kept) < self._count else heapq.heappushpop)(self._kept, (*entry, shot))

    @property
    def shots(self) -> list[Shot]:
        """The most disputed first."""
        return [shot for *_, shot in sorted(self._kept, reverse=True)]
