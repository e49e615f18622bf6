"""The segments of a JPEG file: whether they are whole, and how often its pixels are gone over.

Markers are those of ITU-T T.81, annex B.
"""

import re

from msda_tf.image_files.bad_frame import BadFrame

SIGNATURE = b"\xff\xd8\xff"
"""What the content of a JPEG file begins with."""

END = b"\xff\xd9"
"""The last marker."""

_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_OTHERS = (0xC4, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE)
START_OF_SCAN, _END = 0xDA, 0xD9
# Inside a scan, FF is followed by 00; a marker that restarts it may follow, too, and FF fills.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
MOST_SCANS = 100
"""Encoders write about ten. Each goes over all pixels again, and one of some bytes is enough for that."""


def check(data: bytes) -> None:
    """Raises BadFrame unless the content is a chain of JPEG segments up to the closing marker.

    Some decoders fill what is missing with grey, others refuse; some stop at the last row, others look for the end.
    """
    position, scans = 2, 0
    while marker := _MARKER.search(data, position):
        kind, position = marker[1][0], marker.end()
        if kind == _END:
            return
        if kind not in _FRAMES and kind not in _OTHERS:
            raise BadFrame(f"damaged JPEG, or of a kind that few programs read: marker {kind:02X} at byte {position}")
        scans += kind == START_OF_SCAN
        if scans > MOST_SCANS:
            raise BadFrame(f"damaged JPEG: it goes over its pixels more than {MOST_SCANS} times")
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
    raise BadFrame("truncated JPEG: its end is missing")
