"""What the container of a video says: whether the file is whole, and how many frames it holds.

OpenCV takes a video that breaks off for one that ends, and guesses at the number of frames where the container's header
does not tell. Three kinds of files are read here, from the headers of their parts alone: MP4 and MOV (ISO/IEC
14496-12), AVI (RIFF, OpenDML), Matroska and WebM (RFC 8794, RFC 9559).
"""

import pathlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MP4_PARTS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_EBML, _SEGMENT, _CLUSTER, _TRACKS, _TRACK = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_TRACK_NUMBER, _TRACK_TYPE, _BLOCK_GROUP, _BLOCK, _SIMPLE_BLOCK = 0xD7, 0x83, 0xA0, 0xA1, 0xA3
_INSIDE = {_SEGMENT, _CLUSTER, _TRACKS, _TRACK, _BLOCK_GROUP}
_INVISIBLE = 0x08
# Some hours of video; looking through a file that consists of nothing else would take as long.
_MOST_PARTS = 500_000


@dataclass(frozen=True)
class Container:
    """What is known of a video file.

    Attributes:
      is_text: no video at all but text, such as a playlist, which OpenCV would follow to other files and hosts.
      is_cut: a part of it lies beyond the file's end, or is unreadable.
      frames: how many frames it holds for certain.
      counts: whether the number of frames in the container's header, which OpenCV gives, can be relied on.
    """

    is_text: bool = False
    is_cut: bool = False
    frames: int | None = None
    counts: bool = False


class _Cut(Exception):
    """A part goes beyond the end of the file, or is none."""


def read(path: pathlib.Path) -> Container:
    """What the container says; nothing is known of other kinds.

    Raises:
      OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(4096)
        size = file.seek(0, 2)
        try:
            if start[4:8] in _MP4_PARTS:
                return Container(counts=_mp4_counts(file, size))
            if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
                _check_avi(file, size)
                return Container(counts=True)
            if start[:4] == _EBML.to_bytes(4, "big"):
                return Container(frames=_matroska_frames(file, size))
        except _Cut:
            return Container(is_cut=True, counts=True)
        return Container(is_text=bool(start) and b"\0" not in start)


def _mp4_counts(file: BinaryIO, size: int) -> bool:
    """Whether the frames that the header counts are those that are shown: not of a stream in fragments, whose header
    counts none, nor of a film that was trimmed without being encoded again, which holds frames that are not shown."""
    counts = True
    for kind, start, end in _boxes(file, 0, size):
        if kind == b"moov":
            inside = _inside(file, start, end)
            scale, _ = _times(file, *inside[b"mvhd"]) if b"mvhd" in inside else (0, 0)
            tracks = (box for name, *box in _boxes(file, start, end) if name == b"trak")
            counts = b"mvex" not in inside and not any(_is_trimmed(file, scale, *box) for box in tracks)
    return counts


def _is_trimmed(file: BinaryIO, movie_scale: int, start: int, end: int) -> bool:
    """Whether the edit list of a track shows less than the track holds."""
    track = _inside(file, start, end)
    edits = _inside(file, *track.get(b"edts", (0, 0))).get(b"elst")
    header = _inside(file, *track.get(b"mdia", (0, 0))).get(b"mdhd")
    if edits is None or header is None or not movie_scale:
        return False
    scale, duration = _times(file, *header)
    file.seek(edits[0])
    version, count = struct.unpack(">B3xI", _read(file, 8))
    form = ">Qq4x" if version else ">Ii4x"
    each = struct.calcsize(form)
    entries = struct.iter_unpack(form, _read(file, each * min(count, (edits[1] - edits[0] - 8) // each, 1 << 16)))
    shown = sum(length for length, begin in entries if begin >= 0)
    # A frame's length is not known here; a tenth of a second is two or three.
    return bool(scale) and shown / movie_scale < duration / scale - 0.1


def _times(file: BinaryIO, start: int, _end: int) -> tuple[int, int]:
    """(units in a second, duration in units) of a header box."""
    file.seek(start)
    (version,) = _read(file, 1)
    file.seek(start + (20 if version else 12))
    return struct.unpack(">IQ" if version else ">II", _read(file, 12 if version else 8))


def _inside(file: BinaryIO, start: int, end: int) -> dict[bytes, tuple[int, int]]:
    return {kind: (begin, stop) for kind, begin, stop in _boxes(file, start, end)}


def _boxes(file: BinaryIO, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start and end of the content) of the boxes in a stretch of the file."""
    for _ in range(_MOST_PARTS):
        if end - position < 8:
            break
        file.seek(position)
        size, kind = struct.unpack(">I4s", _read(file, 8))
        content = position + 8
        if size == 1:
            (size,) = struct.unpack(">Q", _read(file, 8))
            content += 8
        elif size == 0:  # up to the end
            size = end - position
        if not kind.isalnum() and position:
            return  # cameras leave bytes of their own behind the last box
        if position + size > end or size < content - position:
            raise _Cut
        yield kind, content, position + size
        position += size
    else:
        return
    file.seek(position)
    if any(file.read(max(0, end - position))):  # the beginning of one more
        raise _Cut


def _check_avi(file: BinaryIO, size: int) -> None:
    """Raises _Cut unless the lists of an AVI fit into the file. A recording that was not closed states no size."""
    position = 0
    while size - position >= 12:
        file.seek(position)
        name, length = struct.unpack("<4sI", _read(file, 8))
        if name != b"RIFF" or length in (0, 0xFFFFFFFF):
            return
        position += 8 + length + length % 2
        if position > size + 1:
            raise _Cut


def _matroska_frames(file: BinaryIO, size: int) -> int | None:
    """The number of frames of the first video track that are shown; None if there is no such track."""
    tracks, blocks, position = {}, {}, 0
    number = None
    for _ in range(_MOST_PARTS):
        if position >= size:
            break
        file.seek(position)
        head = file.read(32)
        kind, width = _number(head, keep_marker=True)
        length, more = _number(head[width:])
        content, unknown = position + width + more, length == (1 << 7 * more) - 1
        if kind in _INSIDE:
            if not unknown and content + length > size:
                raise _Cut
            position = content
            continue
        if unknown or content + length > size:
            raise _Cut
        value = head[width + more : width + more + min(length, 8)]
        if kind == _TRACK_NUMBER:
            number = int.from_bytes(value, "big")
        elif kind == _TRACK_TYPE:
            tracks[number] = int.from_bytes(value, "big")
        elif kind in (_SIMPLE_BLOCK, _BLOCK) and len(value) >= 4:
            track, used = _number(value)
            flags = value[used + 2] if len(value) > used + 2 else 0
            if not flags & _INVISIBLE:
                blocks[track] = blocks.get(track, 0) + 1
        position = content + length
    else:
        return None
    video = next((track for track, kind in tracks.items() if kind == 1), None)
    return None if video is None else blocks.get(video, 0)


def _number(data: bytes, *, keep_marker: bool = False) -> tuple[int, int]:
    """(value, bytes) of a number of variable length: as many zero bits as bytes follow come before its first one."""
    width = 9 - data[0].bit_length() if data and data[0] else 9
    if width > min(8, len(data)):
        raise _Cut
    value = int.from_bytes(data[:width], "big")
    return value if keep_marker else value & (1 << 7 * width) - 1, width


def _read(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise _Cut
    return data
