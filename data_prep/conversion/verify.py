"""Reads a prepared data set back, byte by byte and pixel by pixel, against its dataset.json."""

import pathlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from msda_tf import files
from msda_tf.data import class_counts, records, tfrecord
from msda_tf.data.manifest import Manifest, Shard
from msda_tf.data.writing import images, label_maps
from msda_tf.errors import MsdaError
from msda_tf.image_files import headers
from msda_tf.image_files.decode import samples
from msda_tf.image_files.headers import BadFrame
from msda_tf.labels import IGNORE

from .convert import Progress, cores


def verify(manifest: Manifest, *, workers: int | None = None, progress: Progress | None = None) -> int:
    """Checks every shard's size and checksum, decodes every record, and counts pixels per class and means again.

    Returns:
      Number of images.

    Raises:
      MsdaError: something differs; the message names the first damaged shard and how many there are.
    """
    labelled = {shard: split.labelled for split in manifest.splits.values() for shard in split.shards}
    total, done, guard = sum(shard.examples for shard in labelled), 0, threading.Lock()

    def advance() -> None:
        nonlocal done
        with guard:
            done += 1
            if progress:
                progress("verifying", done, total)

    def check(shard: Shard):
        try:
            return _check_shard(manifest, shard, labelled=labelled[shard], on_record=advance), None
        except (_Damaged, BadFrame, ValueError, OSError) as error:
            return None, f"{manifest.directory / shard.file}: {error}"

    with ThreadPoolExecutor(workers or cores()) as pool:
        checked = dict(zip(labelled, pool.map(check, labelled), strict=True))
    problems = [problem for _, problem in checked.values() if problem]
    for name, split in manifest.splits.items():
        if problems:
            break
        counted = [checked[shard][0] for shard in split.shards]
        class_pixels = tuple(int(value) for value in sum(c.class_pixels for c in counted))
        if (class_pixels, sum(c.ignored for c in counted)) != (split.class_pixels, split.ignored_pixels):
            problems.append(f"{manifest.directory}: the pixels per class of split {name} are not those of dataset.json")
        mean = sum(c.rgb_sum for c in counted) / sum(c.pixels for c in counted)
        # A stored JPEG decodes to slightly other pixels than those the mean was taken from.
        expected = [manifest.mean_rgb] if name == manifest.training_split else []
        expected += [split.mean_rgb] if split.mean_rgb else []
        if not all(np.allclose(mean, known, atol=0.5) for known in expected):
            problems.append(f"{manifest.directory}: the mean of split {name} is not that of dataset.json")
    try:
        class_counts.check(manifest)
    except MsdaError as error:
        problems.append(str(error))
    if problems:
        raise MsdaError(f"{problems[0]} ({len(problems)} problems in all): prepare the data set again with --force")
    return total


class _Damaged(Exception):
    pass


class _Counted:
    def __init__(self, classes: int):
        self.rgb_sum, self.pixels = np.zeros(3, np.float64), 0
        self.class_pixels, self.ignored = np.zeros(classes, np.int64), 0


def _check_shard(manifest: Manifest, shard: Shard, *, labelled: bool, on_record: Callable[[], None]) -> _Counted:
    path: pathlib.Path = manifest.directory / shard.file
    if path.stat().st_size != shard.bytes:
        raise _Damaged(f"{path.stat().st_size} bytes, {shard.bytes} expected")
    if files.sha256(path) != shard.sha256:
        raise _Damaged("its SHA-256 is not that of dataset.json")
    counted, examples = _Counted(len(manifest.classes)), 0
    for serialized in tfrecord.read(path):
        record = records.from_example(serialized)
        _check_record(record, counted, labelled=labelled, max_pixels=manifest.max_pixels)
        examples += 1
        on_record()
    if examples != shard.examples:
        raise _Damaged(f"{examples} records, {shard.examples} expected")
    return counted


def _check_record(record: records.Record, counted: _Counted, *, labelled: bool, max_pixels: int) -> None:
    image = images.store(record.image, images.Storage(), max_pixels=max_pixels)
    if (image.format, image.height, image.width) != (record.image_format, record.height, record.width):
        raise _Damaged(f"{record.filename} is a {image.format} of {image.width}x{image.height} pixels, unlike its keys")
    counted.rgb_sum += image.rgb_sum
    counted.pixels += image.height * image.width
    if labelled != (record.label is not None):
        raise _Damaged(f"{record.filename} has {'no' if labelled else 'a'} label")
    if record.label is None:
        return
    header, label = headers.parse(record.label), samples(record.label, max_pixels=max_pixels)
    if (header.bits, header.color) != (8, "grey") or label.shape != (record.height, record.width):
        raise _Damaged(f"the label of {record.filename} is not 8-bit greyscale of the image's size")
    classes = len(counted.class_pixels)
    counts = label_maps.histogram(label)
    if counts[classes:IGNORE].any():
        raise _Damaged(f"the label of {record.filename} has a value that is neither a class nor {IGNORE}")
    counted.class_pixels += counts[:classes]
    counted.ignored += int(counts[IGNORE])
