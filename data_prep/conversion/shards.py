"""The unit of work of a conversion: one shard, written whole or not at all, and what is known of it afterwards."""

import hashlib
import json
import pathlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from msda_tf import files
from msda_tf.data import records
from msda_tf.data.writing import images, label_maps
from msda_tf.data.writing.images import Storage
from msda_tf.data.writing.notes import Rejected, Result, result
from msda_tf.data.writing.shard_file import ShardFile
from msda_tf.image_files import headers
from msda_tf.image_files.headers import BadFrame

from ..labels import label_images
from ..readers.frames import Frame, Part, RawDataset, reader_of
from . import scan
from .source import Checksums, checksum

SHARD_BYTES = 128 * 2**20
SHARD_FRAMES = 256
_FORMAT = 4  # part of every fingerprint: raise it when the same frames would give other bytes


@dataclass(frozen=True)
class Plan:
    """A shard to be: its file name, its part, and its frames in order."""

    file: str
    part: str
    frames: tuple[Frame, ...]


class Cancelled(Exception):
    """The conversion was stopped: another shard failed, or the user pressed Ctrl-C."""


class NotWritten(Exception):
    """A shard holds bad frames (`rejected`) and was to be written only without any."""

    def __init__(self, rejected: list[Rejected]):
        super().__init__(f"{len(rejected)} bad frames")
        self.rejected = rejected


def plan(part: Part, storage: Storage) -> list[Plan]:
    """Cuts a part into shards of equal numbers of frames, a power of two: about 128 MB or 256 frames each.

    Depends only on the names and sizes of the part's files, and hardly on the size of a single one: a frame that is
    repaired later must not move the others to other shards.
    """
    total = sum(_size(frame.image) for frame in part.frames) * storage.scale**2
    fitting = SHARD_BYTES * len(part.frames) / max(total, 1)
    per_shard = 2 ** int(np.log2(np.clip(fitting, 1, SHARD_FRAMES)))
    count = -(-len(part.frames) // per_shard)
    return [
        Plan(f"{part.name}-{i:05d}-of-{count:05d}.tfrecord", part.name, part.frames[i * per_shard :][:per_shard])
        for i in range(count)
    ]


def _size(path: pathlib.Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def fingerprint(shard: Plan, options: dict) -> str:
    """Changes whenever another conversion of this shard could give other bytes: options, names, sizes, times."""
    digest = hashlib.sha256(json.dumps([_FORMAT, shard.file, options]).encode())
    for frame in shard.frames:
        stats = [path.stat() for path in (frame.image, frame.label) if path]
        digest.update(json.dumps([frame.name, [(s.st_size, s.st_mtime_ns) for s in stats]]).encode())
    return digest.hexdigest()


def allowed(raw: RawDataset, *, skip: bool) -> Callable[[str], bool]:
    """Tells of a frame's name whether a shard may be written without it: of any with `skip`, else of known bad ones."""
    return lambda name: skip or name in raw.known_bad


def write(
    shard: Plan,
    directory: pathlib.Path,
    *,
    raw: RawDataset,
    storage: Storage,
    max_pixels: int,
    allow_bad: Callable[[str], bool],
    cancelled: threading.Event,
    on_frame: Callable[[], None],
) -> Result:
    """Converts the frames of a shard and writes it.

    Args:
      max_pixels: larger images and labels are bad.
      allow_bad: whether the shard may be written without the frame of this name if that is bad.
      cancelled: set from elsewhere to stop.
      on_frame: called after each frame.

    Raises:
      NotWritten: frames were bad that must not be; all frames were tried all the same.
      Cancelled: `cancelled` was set.
    """
    image_counts: list[tuple[int, ...]] = []
    contents: dict[str, Checksums] = {}
    rejected: list[Rejected] = []
    with files.replacing(directory / shard.file) as temporary, open(temporary, "wb") as file:
        written = ShardFile(file)
        for frame in shard.frames:
            if cancelled.is_set():
                raise Cancelled
            try:
                stored, label, contents[frame.name] = _convert(frame, raw, storage, max_pixels)
            except _Blamed as error:
                rejected.append(Rejected(frame.name, str(error.file), error.reason))
                on_frame()
                continue
            record = records.Record(
                filename=frame.name,
                image=stored.data,
                image_format=stored.format,
                height=stored.height,
                width=stored.width,
                label=None if label is None else label_maps.encode(label),
            )
            written.add(record, stored.rgb_sum)
            if label is not None:
                counts, of_no_class = label_maps.class_counts(label, len(raw.classes))
                image_counts.append((*counts.tolist(), of_no_class))
            on_frame()
        if not all(allow_bad(bad.frame) for bad in rejected):
            raise NotWritten(rejected)
    *class_pixels, ignored = np.asarray(image_counts, np.int64).reshape(-1, len(raw.classes) + 1).sum(axis=0).tolist()
    return result(
        shard.file,
        written,
        class_pixels=tuple(class_pixels),
        ignored_pixels=ignored,
        image_counts=tuple(image_counts),
        contents=contents,
        rejected=tuple(rejected),
    )


class _Blamed(Exception):
    def __init__(self, file: pathlib.Path, reason: str):
        super().__init__(reason)
        self.file, self.reason = file, reason


def _convert(
    frame: Frame, raw: RawDataset, storage: Storage, max_pixels: int
) -> tuple[images.StoredImage, np.ndarray | None, Checksums]:
    """The image to store, its trainIds, uint8 `[H, W]`, at the same size, and the files' checksums. Raises _Blamed."""
    blame = frame.image
    try:
        data = headers.read_file(frame.image, max_pixels=max_pixels)
        header = headers.parse(data)
        stored = images.store(data, storage, max_pixels=max_pixels)
        if frame.label is None:
            return stored, None, (checksum(data), None)
        blame = frame.label
        label_data = headers.read_file(frame.label, max_pixels=max_pixels)
        label = reader_of(raw.labels, frame.label).decode(label_data, max_pixels=max_pixels)
        if label.shape != (header.height, header.width):
            raise BadFrame(scan.size_mismatch((header.height, header.width), label.shape))
    except BadFrame as error:
        raise _Blamed(blame, str(error)) from None
    size = (stored.height, stored.width)
    if label.shape != size:
        label = label_images.resize(label, size)
    return stored, label, (checksum(data), checksum(label_data))
