"""Labels that show their classes as colours."""

import cv2
import numpy as np

from msda_tf.image_files import headers
from msda_tf.image_files.decode import decode
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame, Header
from msda_tf.labels import IGNORE

from .label_images import UnknownLabels

_UNKNOWN = 254


class ColorLabels:
    """8-bit colour PNG with one colour per class, or several.

    Args:
      train_ids: (red, green, blue) -> trainId, 255 = ignore.
      rest_ignored: whether all other colours are ignored; they are an error otherwise.
    """

    def __init__(self, train_ids: dict[tuple[int, int, int], int], *, rest_ignored: bool):
        # One entry per colour there is: 16 MB, and a lookup instead of a comparison for each colour and pixel.
        self._table = np.full(2**24, IGNORE if rest_ignored else _UNKNOWN, np.uint8)
        for (red, green, blue), train_id in train_ids.items():
            self._table[red << 16 | green << 8 | blue] = train_id

    def check(self, header: Header) -> None:
        """Raises BadFrame unless the header is that of an 8-bit PNG in colour."""
        if header.format != "png":
            raise BadFrame("a JPEG file where a PNG of class colours is due: JPEG changes colours")
        if header.color not in ("rgb", "rgba", "palette"):
            raise BadFrame(f"a {header.color} image where an image of class colours is due")
        if header.bits > 8:
            raise BadFrame(f"{header.bits} bits per channel where 8 are due")

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`. Raises BadFrame."""
        self.check(headers.parse(data))
        rgba = cv2.cvtColor(decode(data, max_pixels=max_pixels), cv2.COLOR_RGB2BGRA)
        packed = rgba.view(np.dtype("<u4"))[..., 0] & 0xFFFFFF  # bytes blue, green, red, alpha: 0xAARRGGBB
        train_ids = self._table[packed]
        unknown = np.unique(packed[train_ids == _UNKNOWN])
        if unknown.size:
            listed = ", ".join(f"({c >> 16}, {c >> 8 & 255}, {c & 255})" for c in unknown[:5].tolist())
            raise UnknownLabels(f"unknown colours {listed}" + (", ..." if unknown.size > 5 else ""))
        return train_ids
