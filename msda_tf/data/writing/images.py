"""Raw image file -> the bytes that are stored, and the sums that the data set's mean needs."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from msda_tf.image_files import headers
from msda_tf.image_files.headers import BadFrame, Header


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


def check(header: Header) -> None:
    """Raises BadFrame unless TensorFlow's decoders give 8-bit RGB for such a file."""
    if header.bits > 8:
        raise BadFrame(f"{header.bits} bits per channel where 8 are due")
    if header.color not in ("rgb", "rgba", "grey", "grey+alpha", "palette"):
        raise BadFrame(f"a {header.color.upper()} image where RGB is due")


def store(data: bytes, storage: Storage) -> StoredImage:
    """Checks, decodes and, where asked for, resizes and re-encodes an image.

    The resize is Pillow's bicubic one, which smooths when it shrinks.

    Raises:
      BadFrame: the image is damaged or of a kind that cannot be stored.
    """
    header = headers.parse(data)
    check(header)
    bgr = _decode(data, header)
    size = storage.size(header.height, header.width)
    if size != bgr.shape[:2]:
        bgr = np.asarray(Image.fromarray(bgr).resize(size[::-1], Image.Resampling.BICUBIC))
    image_format = storage.image_format or header.format
    if not storage.keeps_bytes(header):
        data = _encoded(bgr, image_format, storage)
    return StoredImage(data, image_format, *size, _rgb_sum(bgr))


def encode(rgb: np.ndarray, image_format: str, storage: Storage) -> StoredImage:
    """A picture uint8 `[H, W, 3]` RGB as it goes into a record, "png" or "jpeg", with the storage's quality."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return StoredImage(_encoded(bgr, image_format, storage), image_format, *rgb.shape[:2], _rgb_sum(bgr))


def decode(data: bytes) -> np.ndarray:
    """A stored image file as uint8 `[H, W, 3]` RGB. Raises BadFrame."""
    return cv2.cvtColor(_decode(data, headers.parse(data)), cv2.COLOR_BGR2RGB)


def _encoded(bgr: np.ndarray, image_format: str, storage: Storage) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, storage.jpeg_quality] if image_format == "jpeg" else []
    return cv2.imencode(".jpg" if image_format == "jpeg" else ".png", bgr, quality)[1].tobytes()


def _rgb_sum(bgr: np.ndarray) -> tuple[int, int, int]:
    blue, green, red = (int(value) for value in cv2.sumElems(bgr)[:3])
    return red, green, blue


def _decode(data: bytes, header: Header) -> np.ndarray:
    """uint8 `[H, W, 3]` BGR."""
    if header.format == "png":
        headers.check_png(data)
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None or bgr.shape[:2] != (header.height, header.width):
            raise BadFrame("damaged PNG: cannot be decoded")
        return bgr
    try:  # Pillow, because OpenCV fills the missing end of a JPEG with grey and turns images by their EXIF tag.
        image = Image.open(io.BytesIO(data), formats=["JPEG"]).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise BadFrame(f"damaged JPEG: {error}") from None
    return cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)
