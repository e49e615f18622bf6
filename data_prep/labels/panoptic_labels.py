"""Labels as COCO's panoptic format has them: PNG files of segments, and a JSON file that says what each segment is.

A pixel's segment is red + 256 green + 65536 blue (cocodataset/panopticapi, panopticapi/utils.py: rgb2id), 0 is none.
The JSON file has `annotations`, each with the `file_name` of a PNG and its `segments_info`: `id` and `category_id`.
"""

import json
import pathlib
from dataclasses import dataclass

import cv2
import numpy as np

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError, reason
from msda_tf.image_files import headers
from msda_tf.image_files.decode import decode
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame, Header
from msda_tf.labels import IGNORE

from .label_images import UnknownLabels

_NO_SEGMENT = 0


@dataclass(frozen=True)
class PanopticLabels:
    """PNG files of segments.

    Attributes:
      table: int16 `[65536]`, category id -> trainId, 255 = ignore, -1 = unknown (`msda_tf.labels.id_lookup`).
      segments: name of each file -> segment -> category id.
    """

    table: np.ndarray
    segments: dict[str, dict[int, int]]

    def check(self, header: Header) -> None:
        """Raises BadFrame unless the header is that of an 8-bit PNG in colour."""
        if header.format != "png" or header.color not in ("rgb", "rgba") or header.bits != 8:
            raise BadFrame(f"a {header.bits}-bit {header.color} {header.format} image where a PNG of segments is due")

    def of(self, path: pathlib.Path) -> "SegmentLabels":
        """What reads the file of this name. Raises BadFrame if the JSON file says nothing of it."""
        if path.name not in self.segments:
            raise BadFrame("no annotation in the JSON file is of this file")
        return SegmentLabels(self, self.segments[path.name])


@dataclass(frozen=True)
class SegmentLabels:
    """One of the files.

    Attributes:
      labels: that it is one of.
      segments: segment -> category id.
    """

    labels: PanopticLabels
    segments: dict[int, int]

    def check(self, header: Header) -> None:
        """As that of all files."""
        self.labels.check(header)

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`. Raises BadFrame."""
        self.check(headers.parse(data))
        rgba = cv2.cvtColor(decode(data, max_pixels=max_pixels), cv2.COLOR_RGB2RGBA)
        found, places = np.unique(rgba.view(np.dtype("<u4"))[..., 0] & 0xFFFFFF, return_inverse=True)
        train_ids = np.array([self._train_id(segment) for segment in found.tolist()], np.uint8)
        return train_ids[places].reshape(rgba.shape[:2])

    def _train_id(self, segment: int) -> int:
        if segment not in self.segments:
            if segment == _NO_SEGMENT:
                return IGNORE
            raise BadFrame(f"segment {segment} is not in the JSON file")
        category = self.segments[segment]
        train_id = int(self.labels.table[category])
        if train_id < 0:
            raise UnknownLabels(f"unknown category {category} of segment {segment}")
        return train_id


def read_segments(path: pathlib.Path) -> dict[str, dict[int, int]]:
    """Name of each PNG file -> segment -> category id.

    Raises:
      UsageError: the JSON file is not there.
      MsdaError: it cannot be read, or is another one.
    """
    try:
        with files.open_regular(path) as file:
            value = json.load(file)
        return {
            annotation["file_name"]: {
                _whole(each["id"], 2**24): _whole(each["category_id"], 2**16) for each in annotation["segments_info"]
            }
            for annotation in value["annotations"]
        }
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: it says what the segments in the label files are") from None
    except OSError as error:
        raise MsdaError(f"{path} cannot be read ({reason(error)})") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MsdaError(
            f"{path} is no JSON file of panoptic annotations with file_name, and id and category_id of segments "
            f"({type(error).__name__}: {error}): unpack it again"
        ) from None


def _whole(value, end: int) -> int:
    if type(value) is not int or not 0 <= value < end:
        raise ValueError(f"{value!r:.40} where a whole number below {end} is due")
    return value
