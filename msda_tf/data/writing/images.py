"""Raw image file -> the bytes that are stored, and the sums that the data set's mean needs."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from msda_tf.image_files import decode, headers
from msda_tf.image_files.headers import MAX_PIXELS, Header


@dataclass(frozen=True)
class Storage:
    """How images are stored.

    Attributes:
      scale: factor on height and width.
      image_format: "png" or "jpeg"; None keeps each file's own. A file that need not change keeps its very bytes.
      jpeg_quality: 1-100, for images that are encoded as JPEG.
    """

    scale: float = 1.0
    image_format: str | None = None
    jpeg_quality: int = 95

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Stored (height, width) of an image."""
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def keeps_bytes_always(self) -> bool:
        """Whether every image is stored as it came."""
        return self.image_format is None and self.scale == 1

    def keeps_bytes(self, header: Header) -> bool:
        """Whether an image is stored without decoding and encoding it again."""
        return self.image_format in (None, header.format) and self.scale == 1


@dataclass(frozen=True)
class StoredImage:
    """An image as it goes into a record.

    Attributes:
      data: file content.
      format: "png" or "jpeg".
      rgb_sum: sum of all pixels per channel.
    """

    data: bytes
    format: str
    height: int
    width: int
    rgb_sum: tuple[int, int, int]


def store(data: bytes, storage: Storage, *, max_pixels: int = MAX_PIXELS) -> StoredImage:
    """Checks, decodes and, where asked for, resizes and re-encodes an image.

    The resize is Pillow's bicubic one, which smooths when it shrinks.

    Raises:
      BadFrame: the image is damaged, or has more than `max_pixels` pixels.
    """
    header = headers.parse(data)
    rgb = decode.decode(data, max_pixels=max_pixels)
    size = storage.size(header.height, header.width)
    if size != rgb.shape[:2]:
        rgb = np.asarray(Image.fromarray(rgb).resize(size[::-1], Image.Resampling.BICUBIC))
    image_format = storage.image_format or header.format
    if not storage.keeps_bytes(header):
        data = _encoded(rgb, image_format, storage)
    return StoredImage(data, image_format, *size, _rgb_sum(rgb))


def encode(rgb: np.ndarray, image_format: str, storage: Storage) -> StoredImage:
    """A picture uint8 `[H, W, 3]` RGB as it goes into a record, "png" or "jpeg", with the storage's quality."""
    return StoredImage(_encoded(rgb, image_format, storage), image_format, *rgb.shape[:2], _rgb_sum(rgb))


def _encoded(rgb: np.ndarray, image_format: str, storage: Storage) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, storage.jpeg_quality] if image_format == "jpeg" else []
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg" if image_format == "jpeg" else ".png", bgr, quality)[1].tobytes()


def _rgb_sum(rgb: np.ndarray) -> tuple[int, int, int]:
    return tuple(int(value) for value in cv2.sumElems(rgb)[:3])
