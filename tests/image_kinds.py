"""PNG and JPEG files of every kind, written by hand, with the pixels that they mean."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PNG_KINDS = [(0, bits) for bits in (1, 2, 4, 8, 16)] + [(3, bits) for bits in (1, 2, 4, 8)]
PNG_KINDS += [(color, bits) for color in (2, 4, 6) for bits in (8, 16)]
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
PALETTE = np.random.default_rng(7).integers(0, 256, (256, 3), dtype=np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, bits: int = 8, color: int = 2, interlace: int = 0) -> bytes:
    """The chunk IHDR."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlace))


def exif(orientation: int) -> bytes:
    """A TIFF structure that holds nothing but an orientation."""
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">H", orientation) + b"\0\0\0\0\0\0"


def values(color: int, bits: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Numbers as a PNG of this kind holds them: uint16 `[H, W, C]`."""
    shape = height, width, CHANNELS[color]
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=np.uint16)


def _packed(numbers: np.ndarray, bits: int) -> bytes:
    rows = []
    for row in numbers:
        flat = row.reshape(-1)
        if bits == 16:
            content = flat.astype(">u2").tobytes()
        else:
            each = np.unpackbits(flat.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
            content = np.packbits(each.reshape(-1)).tobytes()
        rows.append(b"\0" + content)
    return b"".join(rows)


def png(
    numbers: np.ndarray,
    color: int,
    bits: int,
    *,
    interlaced: bool = False,
    before: tuple = (),
    after: tuple = (),
    palette: np.ndarray = PALETTE,
    compress=zlib.compress,
) -> bytes:
    """A PNG file.

    Args:
      numbers: as `values` gives them.
      before, after: (name, content) of chunks that stand before and behind the pixels.
      compress: of the rows.
    """
    height, width = numbers.shape[:2]
    if interlaced:
        passes = (numbers[y::down, x::right] for x, y, right, down in ADAM7)
        rows = b"".join(_packed(part, bits) for part in passes if part.size)
    else:
        rows = _packed(numbers, bits)
    chunks = [header(width, height, bits, color, int(interlaced))]
    early = [each for each in before if each[0] != b"tRNS"]
    chunks += [chunk(*each) for each in early]
    if color == 3:
        chunks.append(chunk(b"PLTE", palette[: 2**bits].tobytes()))
    chunks += [chunk(*each) for each in before if each not in early]
    chunks += [chunk(b"IDAT", compress(rows)), *(chunk(*each) for each in after), chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(chunks)


def rgb(numbers: np.ndarray, color: int, bits: int) -> np.ndarray:
    """What a file with these numbers shows: uint8 `[H, W, 3]`."""
    if color == 3:
        return PALETTE[numbers[..., 0]]
    shown = numbers >> 8 if bits == 16 else numbers * 255 // (2**bits - 1)
    shown = shown[..., :1].repeat(3, -1) if color in (0, 4) else shown[..., :3]
    return shown.astype(np.uint8)


def _extras(color: int, bits: int) -> dict[str, dict]:
    """Chunks that must not change a pixel."""
    gamma = ((b"gAMA", struct.pack(">I", 100000)), (b"sBIT", b"\1" * (3 if color == 3 else CHANNELS[color])))
    transparent = {0: struct.pack(">H", 1), 2: struct.pack(">3H", 1, 1, 1), 3: b"\0\x80"}.get(color)
    extras = {
        "plain": {},
        "gamma": {"before": gamma},
        "text": {"before": ((b"tEXt", b"k\0v"),)},
        "late exif": {"after": ((b"eXIf", exif(6)),)},
    }
    extras |= {f"orientation {number}": {"before": ((b"eXIf", exif(number)),)} for number in range(1, 9)}
    if transparent:
        extras["tRNS"] = {"before": ((b"tRNS", transparent),)}
    return extras


def good_pngs(height: int = 11, width: int = 13) -> dict[str, tuple[bytes, np.ndarray]]:
    """Name -> (file, its pixels uint8 `[H, W, 3]` RGB), one for each kind, interlacing and harmless chunk."""
    found = {}
    for seed, (color, bits) in enumerate(PNG_KINDS):
        numbers = values(color, bits, height, width, seed)
        for interlaced in (False, True):
            for name, extra in _extras(color, bits).items():
                file = png(numbers, color, bits, interlaced=interlaced, **extra)
                if name == "text":  # whose checksum is wrong
                    at = file.index(b"tEXtk\0v") + 7
                    file = file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
                found[f"png {color} {bits} {interlaced} {name}"] = file, rgb(numbers, color, bits)
    numbers = values(2, 8, height, width)
    picture = Image.fromarray(rgb(numbers, 2, 8))
    for default in (False, True):
        other = Image.new("RGB", picture.size, "red")
        file = io.BytesIO()
        picture.save(file, "PNG", save_all=True, append_images=[other], default_image=default)
        found[f"animated {default}"] = file.getvalue(), rgb(numbers, 2, 8)
    found["behind the end"] = png(numbers, 2, 8) + b"bytes of some tool", rgb(numbers, 2, 8)
    return found


def smooth(height: int = 45, width: int = 61) -> np.ndarray:
    """A picture that JPEG keeps: uint8 `[H, W, 3]`."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 5, columns * 4, 250 - rows - columns]).astype(np.uint8)


def jpeg(picture: Image.Image, **options) -> bytes:
    """A JPEG file by Pillow."""
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def good_jpegs() -> dict[str, bytes]:
    """Name -> file."""
    found, picture = {}, Image.fromarray(smooth())
    for mode in ("RGB", "L", "CMYK"):
        for progressive in (False, True):
            for sampling in (0, 1, 2) if mode == "RGB" else (0,):
                options = {"progressive": progressive, "subsampling": sampling, "quality": 85}
                found[f"jpeg {mode} {progressive} {sampling}"] = jpeg(picture.convert(mode), **options)
    for orientation in range(1, 9):
        tag = Image.Exif()
        tag[0x0112] = orientation
        found[f"jpeg orientation {orientation}"] = jpeg(picture, exif=tag)
    plain = found["jpeg CMYK False 0"]  # without the note of Adobe's programs, that inks are stored inverted
    at = plain.index(b"\xff\xee")
    found["jpeg CMYK of others"] = plain[:at] + plain[at + 2 + int.from_bytes(plain[at + 2 : at + 4], "big") :]
    found["jpeg behind the end"] = found["jpeg RGB False 0"] + bytes(100)
    return found


def many_scans(scans: int, size: int = 64) -> bytes:
    """A progressive JPEG that goes over its pixels that often."""
    file = jpeg(Image.new("RGB", (size, size)), progressive=True)
    end = file.rindex(b"\xff\xd9")
    start = file.rindex(b"\xff\xda")
    return file[:end] + file[start:end] * scans + file[end:]


def bad_files() -> dict[str, bytes]:
    """Name -> a file that no reader may take."""
    numbers = values(2, 8, 40, 50)
    whole, photo = png(numbers, 2, 8), jpeg(Image.fromarray(smooth()))
    head, pixels = header(50, 40), chunk(b"IDAT", zlib.compress(_packed(numbers, 8)))
    end = chunk(b"IEND", b"")

    def with_stream(change):
        return png(numbers, 2, 8, compress=lambda rows: change(zlib.compress(rows), rows))

    sof = photo.index(b"\xff\xc0")
    found = {
        "nothing": b"",
        "gif": b"GIF89a" + bytes(100),
        "html": b"<html>404</html>" * 9,
        "signature": SIGNATURE,
        "cut png": whole[: len(whole) // 2],
        "without end": whole[:-12],
        "header's checksum": whole[:29] + bytes([whole[29] ^ 1]) + whole[30:],
        "pixels' checksum": whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:],
        "half of the rows": with_stream(lambda _, rows: zlib.compress(rows[: len(rows) // 2])),
        "no rows": with_stream(lambda _, rows: b""),
        "damaged stream": with_stream(lambda stream, _: stream[:99] + bytes([stream[99] ^ 255]) + stream[100:]),
        "cut stream": with_stream(lambda stream, _: stream[:-6]),
        "unknown filter": with_stream(lambda _, rows: zlib.compress(b"\7" + rows[1:])),
        "unknown needed chunk": SIGNATURE + head + chunk(b"ABCD", b"1") + pixels + end,
        "no palette": SIGNATURE + header(50, 40, 8, 3) + pixels + end,
        "chunk before the header": SIGNATURE
        + chunk(b"abCd", struct.pack(">II", 64, 64))
        + header(20000, 20000, 1, 0)
        + pixels
        + end,
        "pixels interrupted": SIGNATURE + head + _split(pixels) + end,
        "two headers": SIGNATURE + head + header(60, 40) + pixels + end,
        "cut jpeg": photo[: len(photo) // 2],
        "jpeg without end": photo[:-2],
        "jpeg's signature": photo[:3],
        "jpeg's header": photo[:150],
        "jpeg of another size": photo[: sof + 5] + struct.pack(">HH", 4500, 6100) + photo[sof + 9 :],
        "scans without number": many_scans(500),
    }
    for bits, color in ((3, 2), (16, 3), (1, 6), (8, 1), (8, 5), (0, 0), (32, 0)):
        found[f"header of {bits} bits, colour {color}"] = SIGNATURE + header(50, 40, bits, color) + pixels + end
    for width, height in ((0, 40), (50, 0), (2**31, 1), (1_000_001, 1), (2**32 - 1, 2**32 - 1), (20000, 20000)):
        found[f"header of {width}x{height}"] = SIGNATURE + header(width, height, 1, 0) + pixels + end
    for width, height in ((0, 45), (65000, 65000)):
        found[f"jpeg's header of {width}x{height}"] = (
            photo[: sof + 5] + struct.pack(">HH", height, width) + photo[sof + 9 :]
        )
    return found


def _split(pixels: bytes) -> bytes:
    """A chunk IDAT as two with another between."""
    stream = pixels[8:-4]
    return chunk(b"IDAT", stream[:50]) + chunk(b"tEXt", b"k\0v") + chunk(b"IDAT", stream[50:])
