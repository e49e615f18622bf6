"""The gallery's pictures as data URIs, within a budget."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from msda_tf.evaluation import pictures
from msda_tf.labels import ClassList
from msda_tf.report.gallery import Shot, changes, shrunk

BUDGET = 8_000_000
"""Bytes of all pictures as they stand in the page: beyond it, they are made smaller."""

_LONGEST = (1024, 768, 640, 512, 384, 256)

# Right now and wrong before; the reverse. Blue and orange differ for colour-blind eyes too.
CHANGE_COLORS = ((0, 110, 230), (255, 120, 0))


@dataclass(frozen=True)
class Picture:
    """An encoded shot.

    Attributes:
      shot: the shot.
      width, height: of its pictures, in pixels.
      photo: data URI of the image.
      layers: data URIs of label, maps, changes and further views, in the order of `layer_names`.
    """

    shot: Shot
    width: int
    height: int
    photo: str
    layers: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """In the page."""
        return len(self.photo) + sum(map(len, self.layers))


def layer_names(shot: Shot, compared: bool) -> list[str]:
    """Names of a shot's layers."""
    truth = [] if shot.label is None else ["Truth"]
    return [*truth, *shot.maps, *(["Changes"] if compared else []), *shot.photos]


def encode(
    shots: Sequence[Shot], classes: ClassList, *, better: str = "", than: str | None = None, budget: int = BUDGET
) -> list[Picture]:
    """All shots at the largest size, of 1024 pixels and less, at which they fit the budget (256 if none does).

    Args:
      shots: of a `Gallery`, or of `Disputed`.
      classes: whose colours.
      better, than: the columns whose difference the layer "Changes" shows; without `than` there is none.
      budget: bytes.
    """
    found: list[Picture] = []
    for longest in _LONGEST:
        found = [_encode(shot, classes, better, than, longest) for shot in shots]
        if sum(picture.bytes for picture in found) <= budget:
            break
    return found


def _encode(shot: Shot, classes: ClassList, better: str, than: str | None, longest: int) -> Picture:
    photo = shrunk(shot.image, longest, cv2.INTER_AREA)
    truth = [] if shot.label is None else [shrunk(shot.label, longest, cv2.INTER_NEAREST)]
    maps = {name: shrunk(labels, longest, cv2.INTER_NEAREST) for name, labels in shot.maps.items()}
    layers = [pictures.colorize(labels, classes) for labels in (*truth, *maps.values())]
    if than:
        kinds = changes(truth[0], maps[better], maps[than])
        palette = np.array([(0, 0, 0, 0), *((*color, 255) for color in CHANGE_COLORS)], np.uint8)
        layers.append(palette[kinds])
    return Picture(
        shot,
        photo.shape[1],
        photo.shape[0],
        webp(photo, quality=82),
        tuple(webp(layer, lossless=True) for layer in layers)
        + tuple(webp(shrunk(each, longest, cv2.INTER_AREA), quality=82) for each in shot.photos.values()),
    )


def webp(picture: np.ndarray, **options) -> str:
    """Data URI of uint8 `[H, W, 3]`.

    WebP: smaller than JPEG for photographs and than PNG for label maps; every browser since 2020 knows it.
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "webp", method=4, **options)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
