"""From the shards of a prepared data set to tf.data: read, decode, resize, flip, batch.

The data set is addressed by position: the element at position p depends on the seed and p alone, so a run that
resumes at step k opens the data set at batch k and gets what an uninterrupted run gets, without replaying anything.

The fast path is a line of TensorFlow ops that fail on anything unexpected. What fails there goes once more, slowly,
through `_Reader.recover`, which finds out why, names and counts the record, and puts the next good one in its place.
"""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from msda_tf.data import records
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.index import RecordIndex
from msda_tf.data.manifest import Manifest
from msda_tf.data.order import ShuffledOrder
from msda_tf.errors import MsdaError, UsageError

Size = tuple[int, int]
"""(height, width) in pixels."""

_PREFETCHED_BATCHES = 4


def training_batches(
    manifest: Manifest,
    *,
    labelled: bool,
    image_size: Size,
    label_size: Size | None = None,
    batch_size: int,
    seed: int,
    stream: str,
    first_batch: int = 0,
    flip: bool = False,
    exclude_evaluation: bool = False,
    worker: int = 0,
    workers: int = 1,
    corrupt: CorruptRecords | None = None,
    parallel: int | None = None,
) -> tf.data.Dataset:
    """The training split, shuffled anew every epoch, without end.

    Args:
      manifest: a prepared data set.
      labelled: whether to give labels. Without, they are neither read nor decoded: the target stays unlabelled.
      image_size: to which images are resized (bicubic with antialiasing, as Pillow's to one level).
      label_size: to which labels are resized (nearest); `image_size` by default.
      batch_size: images of a global batch, of all workers together.
      seed: of the run.
      stream: name of this stream of images; streams of different names are shuffled independently.
      first_batch: number of the first batch to give; any number costs the same.
      flip: mirror every second image at random, together with its label.
      exclude_evaluation: leave out images that are also in the evaluation split.
      worker, workers: of several workers, each gets its own part (`batch_size / workers` images) of every global
        batch; what the global batches are does not depend on the number of workers.
      corrupt: counts corrupt records, each replaced by the next good one; 10 are allowed by default.
      parallel: how many images are decoded at once; the number of CPU cores by default.

    Returns:
      A data set of dictionaries: `image` uint8 `[B, H, W, 3]` RGB 0-255, `label` uint8 `[B, H_l, W_l]` trainIds (only
      if `labelled`), `filename` string `[B]`.

    Raises:
      UsageError: the split has no labels or no images, or `batch_size` is not a multiple of `workers`.
      MsdaError: a shard is missing, truncated or not the manifest's.
    """
    if batch_size % workers:
        raise UsageError(f"batch_size {batch_size} must be a multiple of the number of workers, {workers}")
    index = _open(manifest, manifest.training_split, exclude_evaluation=exclude_evaluation)
    if labelled and not manifest.splits[manifest.training_split].labelled:
        raise UsageError(
            f"data set {manifest.name!r} has no labels in its split {manifest.training_split!r}: "
            "it can be the target, not a source"
        )
    order = ShuffledOrder(len(index), seed=seed, stream=stream)
    reader = _Reader(index, order, labelled=labelled, corrupt=corrupt or CorruptRecords(limit=10))
    share = batch_size // workers

    def finish(position, example):
        example["image"] = resize_image(example["image"], image_size)
        if labelled:
            example["label"] = resize_label(example["label"], label_size or image_size)
        return flipped(example, position=position, seed=seed) if flip else example

    def global_position(local):
        return local // share * batch_size + worker * share + local % share

    positions = tf.data.Dataset.range(first_batch * share, np.iinfo(np.int64).max).map(global_position)
    examples = _load(positions, reader, finish, parallel=parallel)
    return examples.batch(share, drop_remainder=True).prefetch(_PREFETCHED_BATCHES).with_options(_options())


def evaluation_images(
    manifest: Manifest,
    split: str,
    *,
    limit: int | None = None,
    corrupt: CorruptRecords | None = None,
    parallel: int | None = None,
) -> tf.data.Dataset:
    """The images of a split one by one, in file order, at their stored size.

    Args:
      manifest: a prepared data set.
      split: name of one of its splits.
      limit: at most this many images, evenly spread over the split.
      corrupt: keeps the error of a corrupt record; by default none is allowed, for a score over other images than
        the split's would be wrong.
      parallel: how many images are decoded at once; the number of CPU cores by default.

    Returns:
      A data set of dictionaries: `image` uint8 `[H, W, 3]` RGB 0-255, `label` uint8 `[H, W]` trainIds (only if the
      split is labelled), `filename` string `[]`.

    Raises:
      UsageError: there is no such split, or it is empty.
      MsdaError: a shard is missing, truncated or not the manifest's.
    """
    index = _open(manifest, split)
    labelled = manifest.splits[split].labelled
    count = len(index) if limit is None else min(limit, len(index))

    def spread(position):
        return int(position) * len(index) // count

    reader = _Reader(index, spread, labelled=labelled, corrupt=corrupt or CorruptRecords(limit=0))
    examples = _load(tf.data.Dataset.range(count), reader, lambda position, example: example, parallel=parallel)
    return examples.prefetch(_PREFETCHED_BATCHES).with_options(_options())


def decode(serialized: tf.Tensor, *, labelled: bool) -> dict[str, tf.Tensor]:
    """Parses and decodes one serialized example (see `records`).

    Returns:
      `image` uint8 `[H, W, 3]`, `label` uint8 `[H, W]` (only if `labelled`), `filename` string `[]`.

    Raises:
      tf.errors.InvalidArgumentError: anything about it is not as `records` says.
    """
    keys = {"image": "image/encoded", "filename": "image/filename"}
    if labelled:
        keys["label"] = "image/segmentation/class/encoded"
    features = {key: tf.io.FixedLenFeature([], tf.string) for key in keys.values()}
    parsed = tf.io.parse_single_example(serialized, features)
    # decode_jpeg also decodes PNG, and alone lets one choose the exact inverse transform that other libraries use.
    image = tf.io.decode_jpeg(parsed[keys["image"]], channels=3, dct_method="INTEGER_ACCURATE")
    example = {"image": image, "filename": parsed[keys["filename"]]}
    if labelled:
        label = tf.io.decode_png(parsed[keys["label"]], channels=1)[..., 0]
        same_size = tf.debugging.assert_equal(tf.shape(image)[:2], tf.shape(label), "image and label differ in size")
        with tf.control_dependencies([same_size] if same_size is not None else []):
            example["label"] = tf.identity(label)
    return example


def resize_image(image: tf.Tensor, size: Size) -> tf.Tensor:
    """Resizes uint8 `[H, W, 3]` to uint8 `[*size, 3]`: bicubic with antialiasing, within a level of Pillow's."""

    def resized():
        exact = tf.image.resize(image, size, "bicubic", antialias=True)
        return tf.saturate_cast(tf.round(exact), tf.uint8)

    result = tf.cond(tf.reduce_all(tf.shape(image)[:2] == size), lambda: image, resized)
    result.set_shape([*size, 3])
    return result


def resize_label(label: tf.Tensor, size: Size) -> tf.Tensor:
    """Resizes uint8 `[H, W]` to uint8 `[*size]`: nearest neighbour, identical to Pillow's."""

    def resized():
        return tf.image.resize(label[..., None], size, "nearest")[..., 0]

    result = tf.cond(tf.reduce_all(tf.shape(label) == size), lambda: label, resized)
    result.set_shape(size)
    return result


def flipped(example: dict[str, tf.Tensor], *, position: tf.Tensor, seed: int) -> dict[str, tf.Tensor]:
    """Mirrors image `[H, W, 3]` and label `[H, W]` left to right, or not, by a coin that (seed, position) decide."""
    coin = tf.random.stateless_uniform([], tf.stack([tf.cast(seed, tf.int64), position]), alg="philox") < 0.5
    maps = {key: value for key, value in example.items() if key != "filename"}
    mirrored = tf.cond(coin, lambda: {key: tf.reverse(value, [1]) for key, value in maps.items()}, lambda: maps)
    return {**example, **mirrored}


class _Reader:
    """Gives the serialized example at a position: fast and trusting, or slowly and with care."""

    def __init__(self, index: RecordIndex, order: Callable[[int], int], *, labelled: bool, corrupt: CorruptRecords):
        self._index = index
        self._order = order
        self._corrupt = corrupt
        self.labelled = labelled

    def read(self, position: np.int64) -> bytes:
        """The record at a position; raises MsdaError if it fails its checksum."""
        return self._index.read(self._order(position))

    def recover(self, position: np.int64) -> bytes:
        """The record at a position, or the next good one after it in file order; corrupt ones are counted."""
        first = self._order(position)
        for step in range(len(self._index)):
            record = (first + step) % len(self._index)
            try:
                return self._checked(record)
            except MsdaError as error:
                name = self._index.name(record)
                self._corrupt.add(name, str(error).removeprefix(f"{name} "))
        raise MsdaError(f"{self._index.name(first)} is corrupt, and so is every other record of its split")

    def _checked(self, record: int) -> bytes:
        serialized = self._index.read(record)
        try:
            example = records.from_example(serialized)
        except ValueError as error:
            raise MsdaError(f"cannot be parsed ({error})") from None
        if self.labelled and example.label is None:
            raise MsdaError(f"({example.filename}) has no label")
        try:
            tf.io.decode_image(example.image, expand_animations=False)
        except tf.errors.InvalidArgumentError as error:
            raise MsdaError(f"({example.filename}) has an image that cannot be decoded ({_reason(error)})") from None
        try:
            decode(tf.constant(serialized), labelled=self.labelled)
        except tf.errors.InvalidArgumentError as error:
            raise MsdaError(f"({example.filename}) has a label that does not fit ({_reason(error)})") from None
        return serialized


def _reason(error: tf.errors.OpError) -> str:
    return error.message.splitlines()[0]


def _open(manifest: Manifest, split: str, *, exclude_evaluation: bool = False) -> RecordIndex:
    """The index of a split's shards, without those of the evaluation split if so asked."""
    if split not in manifest.splits:
        known = ", ".join(manifest.splits)
        raise UsageError(f"data set {manifest.name!r} has no split {split!r}, only {known}")
    shards = manifest.splits[split].shards
    if exclude_evaluation and manifest.evaluation_split is not None:
        evaluated = {shard.file for shard in manifest.splits[manifest.evaluation_split].shards}
        shards = [shard for shard in shards if shard.file not in evaluated]
    index = RecordIndex(manifest.directory, shards)
    if not len(index):
        rest = " but those of its evaluation split" if exclude_evaluation else ""
        raise UsageError(f"data set {manifest.name!r} has no images in its split {split!r}{rest}")
    return index


def _load(positions: tf.data.Dataset, reader: _Reader, finish: Callable, *, parallel: int | None) -> tf.data.Dataset:
    """Reads and decodes the examples at `positions`, several at once, in order."""

    def loaded(read):
        def load(position):
            serialized = tf.ensure_shape(tf.numpy_function(read, [position], tf.string), [])
            return finish(position, decode(serialized, labelled=reader.labelled))

        return load

    def example(position):
        # Exactly one element: the fast path's, or if that fails (and only then) the careful one's.
        one = tf.data.Dataset.from_tensors(position)
        fast = one.map(loaded(reader.read)).ignore_errors()
        return fast.concatenate(one.map(loaded(reader.recover))).take(1)

    parallel = parallel or len(os.sched_getaffinity(0))
    return positions.interleave(example, cycle_length=parallel, num_parallel_calls=parallel, deterministic=True)


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # Each worker is given its own part by position already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
