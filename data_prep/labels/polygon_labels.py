"""Labels as polygons in JSON files, as Cityscapes and IDD publish them beside or instead of label images.

A file has imgWidth, imgHeight and objects, each with a label (a class name) and a polygon (a list of [x, y]). They are
drawn in order, later ones over earlier ones, as the data sets' own tools do; objects marked as deleted are left out,
and a name such as "cargroup" counts as "car". What no polygon covers belongs to no class.
"""

import json
import pathlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from msda_tf.image_files import headers
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame, Header
from msda_tf.labels import IGNORE

from .label_images import UnknownLabels

_GROUP = "group"
_FAR = 2**24  # corners may lie outside the picture, but no picture is so large


@dataclass(frozen=True)
class PolygonLabels:
    """JSON files of polygons.

    Attributes:
      train_ids: class name -> trainId, 255 = ignore.
      rest_ignored: whether all other names are ignored; they are an error otherwise.
    """

    train_ids: dict[str, int]
    rest_ignored: bool

    def read_header(self, path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Header:
        """The size that a file's polygons are for. Raises BadFrame."""
        width, height, _ = _parse(headers.read_file(path, max_pixels=max_pixels))
        return _header(width, height, max_pixels)

    def check(self, header: Header) -> None:
        """Nothing is left to check: `read_header` has."""

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`. Raises BadFrame."""
        width, height, objects = _parse(data)
        _header(width, height, max_pixels)
        image = Image.new("L", (width, height), IGNORE)
        draw = ImageDraw.Draw(image)
        for number, item in enumerate(objects):
            try:
                if item.get("deleted"):
                    continue
                train_id = self._train_id(item["label"])
                # A dot or a line covers no area; drawing programs leave such objects behind.
                if len(item["polygon"]) > 2:
                    draw.polygon([_point(x, y) for x, y in item["polygon"]], fill=train_id)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadFrame(f"object {number} is no polygon with a label ({error})") from None
        return np.asarray(image)

    def _train_id(self, name: str) -> int:
        for known in (name, name.removesuffix(_GROUP)):
            if known in self.train_ids:
                return self.train_ids[known]
        if not self.rest_ignored:
            raise UnknownLabels(f"unknown class {name!r}")
        return IGNORE


def _header(width: int, height: int, max_pixels: int) -> Header:
    header = Header(format="polygons", height=height, width=width, bits=8, color="grey")
    headers.check_pixels(header, max_pixels)
    return header


def _point(x: float, y: float) -> tuple[float, float]:
    if not (abs(x) < _FAR and abs(y) < _FAR):
        raise ValueError(f"a corner at {x}, {y}")
    return x, y


def _parse(data: bytes) -> tuple[int, int, list]:
    try:
        value = json.loads(data)
        width, height, objects = int(value["imgWidth"]), int(value["imgHeight"]), list(value["objects"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadFrame(f"no JSON file of polygons with imgWidth, imgHeight and objects ({error})") from None
    if min(width, height) < 1:
        raise BadFrame(f"polygons for an image of {width}x{height} pixels")
    return width, height, objects
