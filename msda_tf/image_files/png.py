"""The chunks of a PNG file: whether they are whole, and those that say what the pixels are.

Chunk layout and rules are those of the W3C's PNG specification, sections 5 and 11.2.
"""

import zlib

from msda_tf.image_files.bad_frame import BadFrame

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""What the content of a PNG file begins with."""

END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
"""The last chunk."""

_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_MOST_CHUNKS = 1_000_000


def essential(data: bytes, *, palette: bool = True) -> bytes:
    """The file without the chunks that decoders may skip: the pixels are the same.

    Decoders disagree about those: one turns the picture by an orientation (eXIf), another shows a frame of an
    animation (fcTL) or refuses a text with a wrong checksum. A transparent colour (tRNS) is left out, too.

    Args:
      data: content of a PNG file with its signature; what comes behind the closing chunk is ignored.
      palette: keep the palette.

    Raises:
      BadFrame: it is no chain of chunks from header to closing one, or a chunk that is needed is damaged.
    """
    position, count, previous, pixels_ended = len(SIGNATURE), 0, b"", False
    view = memoryview(data)  # a photograph has megabytes: its chunks are looked at where they lie
    kept, keep_from = [], 0
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        name = data[position + 4 : position + 8]
        count += 1
        if not name.isalpha() or count > _MOST_CHUNKS:
            raise BadFrame(f"damaged PNG: no chunk at byte {position}")
        if end > len(data):
            break
        if (name == b"IHDR") != (count == 1) or (name == b"IDAT" and pixels_ended):
            raise BadFrame(f"damaged PNG: {name.decode()} at byte {position} is out of place")
        if name[:1].isupper():
            if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise BadFrame(f"damaged PNG: wrong checksum at byte {position}")
            if name not in _NEEDED:
                raise BadFrame(f"damaged PNG: no decoder knows its chunk {name.decode()}")
            if name == b"IEND":
                return b"".join([*kept, view[keep_from:end]]) if kept else data[:end]
        if name[:1].islower() or (name == b"PLTE" and not palette):
            kept.append(view[keep_from:position])
            keep_from = end
        pixels_ended |= previous == b"IDAT" and name != b"IDAT"
        previous, position = name, end
    raise BadFrame("truncated PNG: its end is missing")
