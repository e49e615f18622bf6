"""From the shards of a prepared data set to tf.data: read, decode, resize, flip, batch.

The data set is addressed by position: the element at position p depends on the seed and p alone, so a run that
resumes at step k opens the data set at batch k and gets what an uninterrupted run gets, without replaying anything.

The fast path is a line of TensorFlow ops that fail on anything unexpected. What fails there goes once more, slowly,
through `_Source.recover`, which finds out why, names and counts the record, and puts the next good one in its place.
"""

import os
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from msda_tf.data import records
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.index import RecordIndex
from msda_tf.data.manifest import Manifest
from msda_tf.data.order import shuffled_records, stream_key
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
      image_size: to which images are resized (see `resize_image`).
      label_size: to which labels are resized (see `resize_label`); `image_size` by default.
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
    share = batch_size // workers
    positions = shuffled_records(len(index), seed=seed, stream=stream, first=first_batch * batch_size)
    if workers > 1:
        positions = positions.filter(lambda position, record: position % batch_size // share == worker)

    def finish(position, example):
        example["image"] = resize_image(example["image"], image_size)
        if labelled:
            example["label"] = resize_label(example["label"], label_size or image_size)
        if flip:
            example = flipped(example, key=[stream_key(seed, f"{stream}/flip"), position])
        return example

    source = _Source(index, labelled=labelled, corrupt=corrupt or CorruptRecords(limit=10))
    examples = _load(positions, source, finish, parallel=parallel)
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
    positions = np.arange(count)
    chosen = tf.data.Dataset.from_tensor_slices((positions, positions * len(index) // count))
    source = _Source(index, labelled=labelled, corrupt=corrupt or CorruptRecords(limit=0))
    examples = _load(chosen, source, lambda position, example: example, parallel=parallel)
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
        # Palette, colour and 16-bit PNGs would decode to something, but not to what they mean.
        depth_and_kind = tf.io.decode_raw(tf.strings.substr(parsed[keys["label"]], 24, 2), tf.uint8)
        tf.debugging.assert_equal(depth_and_kind, tf.constant([8, 0], tf.uint8), "it is not an 8-bit greyscale PNG")
        tf.debugging.assert_equal(tf.shape(image)[:2], tf.shape(label), "it has another size than the image")
        example["label"] = label
    return example


def resize_image(image: tf.Tensor, size: Size) -> tf.Tensor:
    """Resizes uint8 `[H, W, 3]` to uint8 `[*size, 3]`: bicubic with antialiasing.

    Pillow's BICUBIC but for rounding: Pillow rounds after each axis, so that single pixels differ by a level or two.
    """

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


def flipped(example: dict[str, tf.Tensor], *, key: tf.Tensor) -> dict[str, tf.Tensor]:
    """Mirrors image `[H, W, 3]` and label `[H, W]` left to right, or not: the key, int64 `[2]`, tosses the coin."""
    coin = tf.random.stateless_uniform([], key, alg="philox") < 0.5
    maps = {name: value for name, value in example.items() if name != "filename"}
    mirrored = tf.cond(coin, lambda: {name: tf.reverse(value, [1]) for name, value in maps.items()}, lambda: maps)
    return {**example, **mirrored}


class _Source:
    """Gives serialized examples: fast and trusting, or slowly and with care."""

    def __init__(self, index: RecordIndex, *, labelled: bool, corrupt: CorruptRecords):
        self.labelled = labelled
        self._index = index
        self._corrupt = corrupt
        self._paths = tf.constant([str(path) for path in index.paths])
        self._shards = tf.constant(index.shards)
        self._offsets = tf.constant(index.offsets)

    def read(self, record: tf.Tensor) -> tf.data.Dataset:
        """The serialized example of a record; nothing, or a tf.errors.OpError, if its shard is damaged there."""
        shard = tf.raw_ops.TFRecordDatasetV2(
            filenames=self._paths[self._shards[record]],
            compression_type="",
            buffer_size=0,
            byte_offsets=self._offsets[record],
        )
        return tf.data.experimental.from_variant(shard, tf.TensorSpec([], tf.string)).take(1)

    def recover(self, record: tf.Tensor) -> tf.Tensor:
        """The serialized example of a record or of the next good one; an error if there are too many corrupt ones."""
        # An assertion shows its message alone; an exception in Python would come with the tracebacks of all threads.
        serialized, failure = tf.numpy_function(self._next_good, [record], [tf.string, tf.string])
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(failure, ""), [failure])]):
            return tf.ensure_shape(serialized, [])

    def _next_good(self, first: np.int64) -> tuple[bytes, str]:
        try:
            # Once the input has failed, other threads shall end at once.
            self._corrupt.check()
            for record in np.roll(np.arange(len(self._index)), -first):
                try:
                    return self._checked(record), ""
                except MsdaError as error:
                    name = self._index.name(record)
                    self._corrupt.add(name, str(error).removeprefix(f"{name} "))
        except MsdaError as error:
            return b"", str(error)
        return b"", f"{self._index.name(first)} is corrupt, and so is every other record of its split"

    def _checked(self, record: int) -> bytes:
        """The serialized example of a record; MsdaError with the reason if it is corrupt."""
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
    """TensorFlow's words without the names of its ops."""
    return re.sub(r"{{.*?}} | \[Op:.*", "", error.message.splitlines()[0])


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


def _load(chosen: tf.data.Dataset, source: _Source, finish: Callable, *, parallel: int | None) -> tf.data.Dataset:
    """Reads and decodes the chosen (position, record) pairs, several at once, in order."""

    def example(position, record):
        def decoded(serialized):
            return finish(position, decode(serialized, labelled=source.labelled))

        # Exactly one element: the fast path's, or if that gives none (and only then) the careful one's.
        fast = source.read(record).map(decoded).ignore_errors()
        careful = tf.data.Dataset.from_tensors(record).map(lambda record: decoded(source.recover(record)))
        return fast.concatenate(careful).take(1)

    parallel = parallel or _cores()
    return chosen.interleave(example, cycle_length=parallel, num_parallel_calls=parallel, deterministic=True)


def _cores() -> int:
    """How many CPU cores this process may use; where the system does not tell, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # Each worker is given its own part by position already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
