"""The decoder of PNG and JPEG files: every command sees the same pixels, or the same refusal.

Pixels are taken as they are stored: no orientation is applied, no colour profile or gamma. Grey becomes three equal
channels, palettes become their colours, alpha is dropped, of 16 bits the upper 8 are kept. The result is that of
`msda_tf.data.transforms.decode_image`, which does the same inside TensorFlow's graphs.
"""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import JpegImagePlugin

from msda_tf.image_files import headers, jpeg, png
from msda_tf.image_files.bad_frame import BadFrame
from msda_tf.image_files.headers import MAX_PIXELS, Header


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """An image as uint8 `[H, W, 3]` RGB.

    Args:
      data: content of a PNG or JPEG file.
      max_pixels: a larger image is refused before any memory is taken for it.

    Raises:
      BadFrame: it is damaged, too large, or neither of both.
    """
    header = _checked(data, max_pixels)
    if header.format == "jpeg":
        return _jpeg(data, header)
    return _png(png.essential(data), header, cv2.IMREAD_COLOR_RGB)


def samples(data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The numbers that a PNG file holds, which in label images are not colours.

    Returns:
      Of a greyscale image its values as they are stored, of a palette image the indices: uint8 or uint16 `[H, W]`. Of a
      colour image uint8 or uint16 `[H, W, 3]` RGB, or `[H, W, 4]` with alpha.

    Raises:
      BadFrame: it is damaged, too large, or not a PNG of one of these kinds.
    """
    header = _checked(data, max_pixels)
    if header.format != "png" or header.color == "grey+alpha":
        raise BadFrame(f"{header.format.upper()}, {header.color}, where a greyscale, palette or colour PNG is due")
    is_palette = header.color == "palette"
    content = png.essential(data, palette=not is_palette)
    if is_palette:
        content = _as_greyscale(content)
    stored = _png(content, header, cv2.IMREAD_UNCHANGED)
    if stored.ndim == 3:
        return stored[..., [2, 1, 0, 3][: stored.shape[2]]]
    if header.bits < 8:
        stored //= 255 // (2**header.bits - 1)  # stretched to 0-255 by the decoder
    return stored


def _checked(data: bytes, max_pixels: int) -> Header:
    header = headers.parse(data)
    headers.check_pixels(header, max_pixels)
    return header


def _png(content: bytes, header: Header, flag: int) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise BadFrame(f"damaged PNG: {error.err or error}") from None
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise BadFrame("damaged PNG: cannot be decoded")
    return pixels


def _as_greyscale(content: bytes) -> bytes:
    """A palette PNG with a header that calls it greyscale: decoders would turn the indices into colours."""
    header = content[12:25] + b"\0" + content[26:29]  # the colour type is the byte at 25
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def _jpeg(data: bytes, header: Header) -> np.ndarray:
    """By Pillow: OpenCV fills the missing end of a JPEG with grey, and rounds CMYK otherwise than TensorFlow."""
    jpeg.check(data)
    try:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        image.load()
        if image.mode == "CMYK":
            rgb = _from_cmyk(np.asarray(image), adobe="adobe" in image.info)
        else:
            rgb = np.asarray(image.convert("RGB"))
    except Exception as error:  # of many kinds, from every corner of a hostile file
        raise BadFrame(f"damaged JPEG: {error}") from None
    if rgb.shape[:2] != (header.height, header.width):
        raise BadFrame("damaged JPEG: cannot be decoded")
    return rgb


def _from_cmyk(cmyk: np.ndarray, *, adobe: bool) -> np.ndarray:
    """As TensorFlow computes it: Adobe's programs, which say so in the file, store 255 minus the ink.

    Pillow takes every file for one of Adobe's, and has turned the values round already.
    """
    light = 255 - cmyk if adobe else cmyk
    light = light.astype(np.uint16)
    return (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
