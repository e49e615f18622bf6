"""Segments image files: label map, colours and overlay of each, at the image's own size."""

import collections
import concurrent.futures
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf import images, trained
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import pictures
from msda_tf.labels import ClassList

FOLDERS = ("labels", "colors", "overlays")
"""Below the output folder: trainIds as 8-bit greyscale PNG, in the classes' colours, and over the image."""

# Images that are read before the network needs them: a few hide the disk's latency, many would fill the memory.
_AHEAD = 4


@dataclass(frozen=True)
class Prediction:
    """What `predict` did.

    Attributes:
      done: number of images whose results were written.
      failed: one message for each image that could not be segmented.
      notes: what whoever sees the results must know of the weights.
    """

    done: int
    failed: tuple[str, ...]
    notes: tuple[str, ...]


def predict(
    directories: Sequence[str | pathlib.Path],
    source: str | pathlib.Path,
    output: str | pathlib.Path,
    *,
    merge: str | None = None,
    select: str | None = None,
    branches: Sequence[str] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> Prediction:
    """Segments an image, or all images of a folder and its sub-folders.

    For the image `a/frame.png` it writes `labels/a/frame.png`, `colors/a/frame.png` and `overlays/a/frame.png` (see
    `images.result_names`). An image that cannot be read does not stop the others.

    Args:
      directories: run directories, merged.
      source: a PNG or JPEG file, or a folder.
      output: the folder to write to; what is there of an earlier run is replaced.
      merge: one of `msda_tf.evaluation.merge.RULES`; the runs' own by default.
      select: "last" or "best" checkpoint; each run's own choice by default.
      branches: shown names of the branches to merge; all that were adapted by default.
      on_progress: called with (images done, number of images).

    Raises:
      UsageError: see `trained.load`; or there is no image, or `output` lies in `source`.
      MsdaError: a run is damaged.
    """
    source, output = pathlib.Path(source), pathlib.Path(output)
    names = images.result_names(images.find(source))
    _check_output(source, output)
    networks = trained.load(directories, merge=merge, select=select, branches=branches, only_merged=True)
    segment = tf.function(
        networks.inference.segment,
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
        autograph=False,
    )
    root = source.parent if source.is_file() else source

    def read(name):
        try:
            return name, images.read(root / name)
        except MsdaError as error:
            return name, error

    failed, done = [], 0
    with concurrent.futures.ThreadPoolExecutor(2) as readers, concurrent.futures.ThreadPoolExecutor(1) as writer:
        writing = writer.submit(lambda: None)
        for name, image in _ahead(readers, read, names):
            try:
                if isinstance(image, MsdaError):
                    raise image
                labels = _segmented(segment, image, root / name)
                writing.result()
                writing = writer.submit(_write, output, names[name], image.numpy(), labels, networks.classes)
                done += 1
            except MsdaError as error:
                failed.append(str(error))
            on_progress(done + len(failed), len(names))
        writing.result()
    return Prediction(done, tuple(failed), tuple(networks.notes()))


def _check_output(source: pathlib.Path, output: pathlib.Path) -> None:
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: name a folder with --output")
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"{output} lies in the input folder {source}: the next run would take results for images; choose an "
            "--output outside it"
        )
    output.mkdir(parents=True, exist_ok=True)


def _segmented(segment, image: tf.Tensor, path: pathlib.Path) -> np.ndarray:
    try:
        return segment(image[None])[0].numpy()
    except tf.errors.ResourceExhaustedError:
        height, width = image.shape[:2]
        raise MsdaError(f"{path}: {width}x{height} pixels do not fit into memory: shrink the image") from None


def _write(output: pathlib.Path, name: pathlib.PurePath, image: np.ndarray, labels: np.ndarray, classes: ClassList):
    results = (labels, pictures.colorize(labels, classes), pictures.overlay(image, labels, classes))
    for folder, picture in zip(FOLDERS, results, strict=True):
        path = output / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.write_png(path, picture)


def _ahead(pool: concurrent.futures.Executor, function: Callable, items: Iterable) -> Iterator:
    """`map(function, items)` in order, a few calls ahead of the consumer."""
    waiting: collections.deque = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
