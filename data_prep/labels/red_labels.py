"""Labels that keep their ids in the red channel, as CARLA's semantic camera gives them."""

from dataclasses import dataclass

import cv2
import numpy as np

from msda_tf.image_files import headers
from msda_tf.image_files.decode import samples
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame, Header

from .label_images import lookup


@dataclass(frozen=True)
class RedLabels:
    """8-bit colour PNG, red = id; greyscale ones, which hold nothing but the red channel, are read, too.

    Attributes:
      table: int16 `[65536]`, id -> trainId, 255 = ignore, -1 = unknown.
    """

    table: np.ndarray

    def check(self, header: Header) -> None:
        """Raises BadFrame unless the header is that of such an image."""
        if header.format != "png":
            raise BadFrame("a JPEG file where a PNG with class ids in red is due")
        if header.color not in ("rgb", "rgba", "grey"):
            raise BadFrame(f"a {header.color} image where class ids in the red channel are due")
        if header.bits != 8:
            raise BadFrame(f"{header.bits} bits per channel where 8 are due")

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`. Raises BadFrame."""
        self.check(headers.parse(data))
        pixels = samples(data, max_pixels=max_pixels)
        return lookup(pixels if pixels.ndim == 2 else cv2.extractChannel(pixels, 0), self.table)
