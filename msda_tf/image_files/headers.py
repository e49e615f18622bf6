"""What a PNG or JPEG file says of itself, read without decoding it, and whether a PNG file is whole.

PNG: chunk layout and colour types are those of the W3C's PNG specification, sections 5 and 11.2.1.
"""

import io
import pathlib
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

PNG_SIGNATURE, JPEG_SIGNATURE = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
"""What the content of a file begins with."""

_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PNG_COLORS = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgba"}
_JPEG_COLORS = {"L": "grey", "RGB": "rgb", "CMYK": "cmyk"}
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
"""File name ending (lower case) -> format."""


class BadFrame(Exception):
    """One frame cannot be used; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class Header:
    """Format ("png", "jpeg"), size in pixels, bits per channel, and colour model of an image file."""

    format: str
    height: int
    width: int
    bits: int
    color: str


def read_file(path: pathlib.Path) -> bytes:
    """The file's content. Raises BadFrame if it cannot be had."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadFrame(_why_unreadable(path, error)) from None


def _why_unreadable(path: pathlib.Path, error: OSError) -> str:
    if path.is_symlink() and not path.exists():
        return f"broken symbolic link to {path.readlink()}"
    return f"cannot be read: {error.strerror}"


def parse(data: bytes) -> Header:
    """The header of an image file from its content (of a PNG, the first 26 bytes do). Raises BadFrame."""
    if not data:
        raise BadFrame("empty file (0 bytes)")
    if data.startswith(PNG_SIGNATURE):
        if len(data) < 26 or data[12:16] != b"IHDR":
            raise BadFrame("truncated PNG: no header")
        width, height, bits, color = struct.unpack(">IIBB", data[16:26])
        if not (width and height and color in _PNG_COLORS):
            raise BadFrame("damaged PNG: impossible header")
        return Header("png", height, width, bits, _PNG_COLORS[color])
    if data.startswith(JPEG_SIGNATURE):
        return _parse_jpeg(io.BytesIO(data))
    raise BadFrame("neither a PNG nor a JPEG file, whatever its name says")


def _parse_jpeg(file: BinaryIO) -> Header:
    """Pillow reads only as far as the header goes."""
    try:
        with Image.open(file, formats=["JPEG"]) as image:
            return Header("jpeg", image.height, image.width, 8, _JPEG_COLORS.get(image.mode, image.mode))
    except (OSError, SyntaxError, ValueError) as error:
        raise BadFrame(f"damaged JPEG: {error}") from None


def check_name(path: pathlib.Path, header: Header) -> None:
    """Raises BadFrame if the file's ending promises another format than its content has."""
    if FORMATS.get(path.suffix.lower()) != header.format:
        raise BadFrame(f"a {header.format.upper()} file named {path.suffix}")


def read(path: pathlib.Path) -> Header:
    """The header of an image file, read from as little of it as that takes; its end is looked at, too.

    Raises:
      BadFrame: it is missing, empty, unreadable, not an image, misnamed, or a PNG that has lost its end.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(26)
            if data.startswith(JPEG_SIGNATURE):
                file.seek(0)
                header = _parse_jpeg(file)
            else:
                header = parse(data)
                file.seek(-len(_PNG_END), io.SEEK_END)
                if file.read() != _PNG_END:  # cut, or there is something behind its end
                    file.seek(0)
                    check_png(file.read())
    except OSError as error:
        raise BadFrame(_why_unreadable(path, error)) from None
    check_name(path, header)
    return header


def check_png(data: bytes) -> None:
    """Raises BadFrame unless the content is a chain of PNG chunks up to the closing one, undamaged.

    Chunks that decoders may skip (a small first letter: texts, times) are not looked into, as decoders do not either.
    """
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        needed = data[position + 4 : position + 5].isupper()
        if needed and zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise BadFrame(f"damaged PNG: wrong checksum at byte {position}")
        if data[position + 4 : position + 8] == b"IEND":
            return
        position = end
    raise BadFrame("truncated PNG: its end is missing")
