"""How many pixels of each class each image has: what sampling by rare classes needs, without decoding any label.

`prepare` writes them beside the shards, as one row for each labelled image in a `.npy` file that dataset.json lists
with its checksum. For a data set from before, they are counted once from its shards and kept in a hidden file, whose
name tells which shards it was counted from.
"""

import contextlib
import hashlib
import io
import math
import os
import pathlib
import tokenize
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from msda_tf import files
from msda_tf.data import records, tfrecord
from msda_tf.data.manifest import CountsFile, Manifest, Shard
from msda_tf.errors import MsdaError
from msda_tf.image_files.decode import samples
from msda_tf.image_files.headers import LARGEST, BadFrame
from msda_tf.labels import IGNORE

FILE_NAME = "class_counts.npy"

_HEADER = 1 << 12  # bytes: NumPy's is 128


def write(directory: pathlib.Path, counts: Sequence[Sequence[int]]) -> CountsFile:
    """Writes `directory/class_counts.npy`, atomically; the same counts always give the same bytes.

    Args:
      counts: pixels of each class and of none, `[images, classes + 1]`; the images of the labelled shards in the order
        of `labelled_shards`.

    Returns:
      The file's entry in dataset.json.
    """
    with files.replacing(directory / FILE_NAME) as temporary, open(temporary, "wb") as file:
        np.save(file, np.asarray(counts, np.uint32))
    return CountsFile(FILE_NAME, files.sha256(directory / FILE_NAME))


def labelled_shards(manifest: Manifest) -> list[Shard]:
    """The shards that carry labels, each once, by file name: the order of the rows."""
    found = {shard.file: shard for split in manifest.splits.values() if split.labelled for shard in split.shards}
    return [found[file] for file in sorted(found)]


def read(manifest: Manifest, split: str) -> np.ndarray:
    """Pixels of each class in each image of a split: int64 `[images, classes]`, in reading order.

    Row i belongs to record i of `msda_tf.data.index.RecordIndex(directory, manifest.splits[split].shards)`.

    Raises:
      MsdaError: the split has no labels, or a shard or the file of counts is damaged.
    """
    if not manifest.splits[split].labelled:
        raise MsdaError(f"{manifest.directory}: split {split} has no labels, so that no classes can be counted")
    shards = labelled_shards(manifest)
    counts = _stored(manifest, shards) if manifest.class_counts else _counted(manifest, shards)
    ends = np.cumsum([0, *(shard.examples for shard in shards)])
    rows = {shard.file: slice(ends[i], ends[i + 1]) for i, shard in enumerate(shards)}
    chosen = [counts[rows[shard.file]] for shard in manifest.splits[split].shards]
    return np.concatenate(chosen)[:, :-1].astype(np.int64)


def check(manifest: Manifest) -> None:
    """Raises MsdaError unless the stored counts are there, whole, and add up to the splits' own."""
    for name, split in manifest.splits.items():
        if manifest.class_counts and split.labelled:
            total = tuple(int(count) for count in read(manifest, name).sum(axis=0))
            if total != split.class_pixels:
                raise MsdaError(f"{manifest.directory / FILE_NAME}: its counts of split {name} are not dataset.json's")


def _stored(manifest: Manifest, shards: list[Shard]) -> np.ndarray:
    path = manifest.directory / manifest.class_counts.file
    again = "copy it again or prepare the data set again with --force"
    try:
        data = _bytes(path, manifest, shards)
    except OSError as error:
        raise MsdaError(f"{path} cannot be read ({error.strerror}): {again}") from None
    if hashlib.sha256(data).hexdigest() != manifest.class_counts.sha256:
        raise MsdaError(f"{path} is damaged (its SHA-256 is not that of dataset.json): {again}")
    try:
        return _table(data, manifest, shards)
    except ValueError as error:
        raise MsdaError(f"{path} does not fit dataset.json ({error}): {again}") from None


def _shape(manifest: Manifest, shards: list[Shard]) -> tuple[int, int]:
    return sum(shard.examples for shard in shards), len(manifest.classes) + 1


def _bytes(path: pathlib.Path, manifest: Manifest, shards: list[Shard]) -> bytes:
    """A file of counts; OSError if it is longer than what it is to hold."""
    rows, columns = _shape(manifest, shards)
    return files.read_bytes(path, at_most=rows * columns * np.dtype(np.uint32).itemsize + _HEADER)


def _table(data: bytes, manifest: Manifest, shards: list[Shard]) -> np.ndarray:
    """What such a file holds; ValueError if that is no table of counts of these shards."""
    file, expected = io.BytesIO(data), _shape(manifest, shards)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"it is a NumPy file of version {version}")
    try:
        shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
    except (tokenize.TokenError, SyntaxError) as error:  # NumPy parses headers that it does not know as Python
        raise ValueError(f"its header is damaged: {error}") from None
    if (shape, fortran, kind) != (expected, False, np.dtype(np.uint32)):
        raise ValueError(f"it holds {kind} of shape {list(shape)}, uint32 of {list(expected)} is expected")
    values = data[file.tell() :]
    if len(values) != math.prod(expected) * kind.itemsize:
        raise ValueError("its header says another length")
    return np.frombuffer(values, kind).reshape(expected)


def _counted(manifest: Manifest, shards: list[Shard]) -> np.ndarray:
    """Uint32 `[images, classes + 1]`, from the hidden file or, once, from the labels themselves."""
    print_of_shards = hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()[:16]
    path = manifest.directory / f".{pathlib.Path(FILE_NAME).stem}-{print_of_shards}.npy"
    with contextlib.suppress(OSError, ValueError):  # not there yet, or not readable: it is only a copy
        return _table(_bytes(path, manifest, shards), manifest, shards)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = pool.map(lambda shard: _count(manifest.directory / shard.file, len(manifest.classes)), shards)
        counts = np.concatenate(list(counted))
    with contextlib.suppress(OSError), files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.save(file, counts)
    return counts


def _count(path: pathlib.Path, classes: int) -> np.ndarray:
    counts = []
    try:
        for serialized in tfrecord.read(path):
            record = records.from_example(serialized)
            try:
                label = samples(record.label or b"", max_pixels=LARGEST)
            except BadFrame as error:
                raise ValueError(f"{record.filename} has no label that can be decoded ({error})") from None
            if label.dtype != np.uint8 or label.ndim != 2:
                raise ValueError(f"{record.filename} has no label that is 8-bit greyscale")
            histogram = np.bincount(label.ravel(), minlength=IGNORE + 1)
            counts.append([*histogram[:classes], histogram[IGNORE]])
    except (OSError, ValueError) as error:
        raise MsdaError(f"{path}: {error}: copy it again or prepare the data set again with --force") from None
    return np.asarray(counts, np.uint32).reshape(-1, classes + 1)
