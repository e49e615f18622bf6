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
from msda_tf.image_files.headers import BadFrame, Header
from msda_tf.labels import IGNORE

from .label_images import UnknownLabels

_GROUP = "group"


@dataclass(frozen=True)
class PolygonLabels:
    """JSON files of polygons.

    Attributes:
      train_ids: class name -> trainId, 255 = ignore.
      rest_ignored: whether all other names are ignored; they are an error otherwise.
    """

    train_ids: dict[str, int]
    rest_ignored: bool

    def read_header(self, path: pathlib.Path) -> Header:
        """The size that a file's polygons are for. Raises BadFrame."""
        width, height, _ = _parse(headers.read_file(path))
        return Header(format="polygons", height=height, width=width, bits=8, color="grey")

    def check(self, header: Header) -> None:
        """Nothing is left to check: `read_header` has."""

    def decode(self, data: bytes) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`. Raises BadFrame."""
        width, height, objects = _parse(data)
        image = Image.new("L", (width, height), IGNORE)
        draw = ImageDraw.Draw(image)
        for number, item in enumerate(objects):
            try:
                if item.get("deleted"):
                    continue
                train_id = self._train_id(item["label"])
                # A dot or a line covers no area; drawing programs leave such objects behind.
                if len(item["polygon"]) > 2:
                    draw.polygon([(x, y) for x, y in item["polygon"]], fill=train_id)
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


def _parse(data: bytes) -> tuple[int, int, list]:
    try:
        value = json.loads(data)
        width, height, objects = int(value["imgWidth"]), int(value["imgHeight"]), list(value["objects"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadFrame(f"no JSON file of polygons with imgWidth, imgHeight and objects ({error})") from None
    if min(width, height) < 1:
        raise BadFrame(f"polygons for an image of {width}x{height} pixels")
    return width, height, objects
