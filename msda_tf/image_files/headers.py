"""What a PNG or JPEG file says of itself, read without decoding it.

The header of a PNG is that of the W3C's PNG specification, section 11.2.1.
"""

import functools
import io
import pathlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, JpegImagePlugin

from msda_tf import files
from msda_tf.image_files import jpeg, png
from msda_tf.image_files.bad_frame import BadFrame

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
"""File name ending (lower case) -> format."""

MAX_PIXELS = 1 << 26
"""Most pixels of an image where nothing else is asked for: 8192x8192."""

LARGEST = (1 << 29) - 1
"""Most pixels that can be asked for: TensorFlow's decoders take no more."""

_LONGEST_SIDE = 1_000_000  # libpng's
_HEADER_BYTES = 33  # a PNG's signature and first chunk
_COLORS = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgba"}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_JPEG_COLORS = {"L": "grey", "RGB": "rgb", "CMYK": "cmyk"}
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """What an image file's header tells.

    Attributes:
      format: "png" or "jpeg".
      height, width: pixels, as they are stored.
      bits: per channel.
      color: "grey", "rgb", "palette", "grey+alpha", "rgba" or "cmyk".
      orientation: 1-8 as in EXIF: how a viewer would turn the picture. Nothing here ever does.
    """

    format: str
    height: int
    width: int
    bits: int
    color: str
    orientation: int = 1


def _longest(pixels: int) -> int:
    # 16 bits in four channels, uncompressed; and what cameras put beside an image: previews, sounds, short films.
    return 8 * pixels + 2**26


LONGEST = _longest(LARGEST)
"""Bytes of the longest file that is read at all."""


def read_file(path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """The file's content. Raises BadFrame if it cannot be had, or is far too long for so many pixels."""
    try:
        return files.read_bytes(path, at_most=_longest(max_pixels))
    except OSError as error:
        raise BadFrame(_why_unreadable(path, error)) from None


def _why_unreadable(path: pathlib.Path, error: OSError) -> str:
    if path.is_symlink() and not path.exists():
        return f"broken symbolic link to {path.readlink()}"
    return f"cannot be read: {error.strerror or error}"


def parse(data: bytes) -> Header:
    """The header of an image file from its content. Raises BadFrame."""
    if not data:
        raise BadFrame("empty file (0 bytes)")
    if data.startswith(png.SIGNATURE):
        return _parse_png(io.BytesIO(data))
    if data.startswith(jpeg.SIGNATURE):
        return _parse_jpeg(io.BytesIO(data))
    raise BadFrame("neither a PNG nor a JPEG file, whatever its name says")


def _parse_png(file: BinaryIO) -> Header:
    start = file.read(_HEADER_BYTES)
    if len(start) < _HEADER_BYTES:
        raise BadFrame("truncated PNG: no header")
    if start[8:16] != b"\0\0\0\x0dIHDR":
        raise BadFrame("damaged PNG: it does not begin with its header")
    width, height, bits, color, *methods, crc = struct.unpack(">IIBBBBBI", start[16:])
    possible = bits in _DEPTHS.get(color, ()) and methods[:2] == [0, 0] and methods[2] < 2
    if not (possible and 0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE):
        raise BadFrame("damaged PNG: impossible header")
    if zlib.crc32(start[12:29]) != crc:
        raise BadFrame("damaged PNG: wrong checksum at byte 8")
    return Header("png", height, width, bits, _COLORS[color], _png_orientation(file))


def _png_orientation(file: BinaryIO) -> int:
    """From the chunk eXIf, if it stands before the pixels, as it mostly does."""
    for _ in range(100):
        length, name = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        if name == b"eXIf" and length < 2**20:
            return _valid_orientation(functools.partial(_exif, file.read(length)))
        if name in (b"IDAT", b"\0\0\0\0"):
            break
        file.seek(length + 4, io.SEEK_CUR)
    return 1


def _exif(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif


def _parse_jpeg(file: BinaryIO) -> Header:
    """Pillow reads only as far as the header goes."""
    try:
        # Not Image.open, which has a limit of its own that all of a process share.
        image = JpegImagePlugin.JpegImageFile(file)
    except Exception as error:  # of many kinds, from every corner of a hostile header
        raise BadFrame(f"damaged JPEG: {error}") from None
    color = _JPEG_COLORS.get(image.mode, image.mode)
    orientation = _valid_orientation(image.getexif)
    return Header("jpeg", image.height, image.width, 8, color, orientation)


def _valid_orientation(read: Callable[[], Image.Exif]) -> int:
    try:
        value = read().get(_ORIENTATION)
    except Exception:  # a damaged note about a picture is no reason to refuse the picture
        return 1
    return value if value in range(1, 9) else 1


def check_pixels(header: Header, max_pixels: int) -> None:
    """Raises BadFrame if the image has more pixels than that."""
    if header.height * header.width > max_pixels:
        raise BadFrame(
            f"{header.width}x{header.height} pixels, more than the {max_pixels} that are allowed: if that is its true "
            f"size, raise --max-pixels (up to {LARGEST})"
        )


def check_name(path: pathlib.Path, header: Header) -> None:
    """Raises BadFrame if the file's ending promises another format than its content has."""
    if FORMATS.get(path.suffix.lower()) != header.format:
        raise BadFrame(f"a {header.format.upper()} file named {path.suffix}")


def read(path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Header:
    """The header of an image file, read from as little of it as that takes; its end is looked at, too.

    Raises:
      BadFrame: it is missing, empty, unreadable, not an image, misnamed, too large, or has lost its end.
    """
    try:
        with files.open_regular(path) as file:
            start = file.read(8)
            file.seek(0)
            if start.startswith(png.SIGNATURE):
                header, ending = _parse_png(file), png.END
            elif start.startswith(jpeg.SIGNATURE):
                header, ending = _parse_jpeg(file), jpeg.END
            else:
                return parse(start)  # which says what is wrong
            check_pixels(header, max_pixels)
            file.seek(-len(ending), io.SEEK_END)
            whole = file.read() == ending
    except OSError as error:
        raise BadFrame(_why_unreadable(path, error)) from None
    if not whole:  # cut, or there is something behind its end
        check_whole(read_file(path, max_pixels=max_pixels))
    check_name(path, header)
    return header


def check_whole(data: bytes) -> None:
    """Raises BadFrame unless the content of a PNG or JPEG file is whole, as far as its parts' lengths tell."""
    if data.startswith(png.SIGNATURE):
        png.essential(data)
    else:
        jpeg.check(data)
