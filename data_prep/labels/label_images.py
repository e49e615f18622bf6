"""Label files of the raw data sets -> trainIds, and trainIds -> the 8-bit PNG that is stored."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from msda_tf.data.writing.label_maps import histogram
from msda_tf.image_files import headers
from msda_tf.image_files.decode import samples
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame, Header


class UnknownLabels(BadFrame):
    """A label file holds values that its data set does not define."""


_COLOR = "a colour image where an image of class ids is due"


@dataclass(frozen=True)
class IdLabels:
    """Greyscale or palette PNG whose pixel values (palette: indices) are ids.

    Attributes:
      table: int16 `[65536]`, id -> trainId, 255 = ignore, -1 = unknown (`msda_tf.labels.id_lookup`).
      colors: colour models that are allowed.
      bits: bits per pixel that are allowed. Palette indices mean the same at any depth, so fewer than 8 will do for
        them, too; grey values of fewer bits would be stretched by decoders.
    """

    table: np.ndarray
    colors: tuple[str, ...] = ("grey", "palette")
    bits: tuple[int, ...] = (8,)

    def check(self, header: Header) -> None:
        """Raises BadFrame unless the header is that of such an image."""
        if header.format != "png":
            raise BadFrame("a JPEG file where a PNG of class ids is due")
        if header.color == "grey+alpha":
            raise BadFrame(
                "a grey image with an alpha channel where an image of class ids is due: save it without alpha"
            )
        if header.color not in ("grey", "palette"):
            raise BadFrame(_COLOR)
        if header.color not in self.colors:
            raise BadFrame(f"a {header.color} image where a {' or '.join(self.colors)} one is due")
        if header.bits not in self.bits and not (header.color == "palette" and header.bits < 8):
            due = " or ".join(map(str, self.bits))
            raise BadFrame(f"{header.bits} bits per pixel where ids of {due} bits are due")

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`. Raises BadFrame."""
        self.check(headers.parse(data))
        return lookup(samples(data, max_pixels=max_pixels), self.table)


@dataclass(frozen=True)
class SynthiaLabels:
    """16-bit RGB PNG: red = class id, green = instance (README of SYNTHIA-RAND-CITYSCAPES)."""

    table: np.ndarray

    def check(self, header: Header) -> None:
        """Raises BadFrame unless the header is that of a 16-bit colour PNG."""
        if (header.format, header.color, header.bits) == ("png", "rgb", 16):
            return
        if header.color in ("rgb", "rgba"):
            raise BadFrame(f"{_COLOR}: use GT/LABELS, not GT/COLOR")
        raise BadFrame(f"{header.bits} bits per pixel, {header.color}, where 16-bit RGB is due")

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`. Raises BadFrame."""
        self.check(headers.parse(data))
        red = samples(data, max_pixels=max_pixels)[..., 0]
        return lookup(np.ascontiguousarray(red), self.table)


def lookup(ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Maps ids to trainIds.

    Args:
      ids: uint8 or uint16 `[H, W]`.
      table: int16 `[65536]`, -1 for unknown ids.

    Returns:
      uint8 `[H, W]`.

    Raises:
      UnknownLabels: an id is unknown; the message lists the first few.
    """
    # Most often the largest id alone tells that all are known, at a tenth of the time of counting them.
    if ids.max() >= np.argmax(table < 0) and table.min() < 0:
        present = np.unique(ids) if ids.dtype != np.uint8 else np.flatnonzero(histogram(ids))
        if (unknown := present[table[present] < 0]).size:
            listed = ", ".join(map(str, unknown[:5])) + (", ..." if unknown.size > 5 else "")
            raise UnknownLabels(f"unknown class ids {listed}")
    if ids.dtype == np.uint8:
        return cv2.LUT(ids, table[:256].astype(np.uint8))
    return table.astype(np.uint8)[ids]


def resize(train_ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest-neighbour resize of uint8 `[H, W]` to `size` = (height, width)."""
    height, width = size
    return np.asarray(Image.fromarray(train_ids).resize((width, height), Image.Resampling.NEAREST))
