"""From the shards of a prepared data set to tf.data: read, decode, resize, flip, batch.

The data set is addressed by position: the element at position p depends on the seed and p alone, so a run that
resumes at step k opens the data set at batch k and gets what an uninterrupted run gets, without replaying anything.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from msda_tf.data import class_counts
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.crops import Crops, inside_margins, window
from msda_tf.data.held_out import chosen
from msda_tf.data.index import RecordIndex
from msda_tf.data.loading import RecordSource, load
from msda_tf.data.manifest import Manifest, Shard
from msda_tf.data.order import shuffled_records, stream_key
from msda_tf.data.rare_classes import RareClasses, RareSampling
from msda_tf.data.transforms import Size, flipped, resize_image, resize_label
from msda_tf.errors import UsageError

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
    crops: Crops | None = None,
    margins: tuple[float, float, float, float] | None = None,
    context: Size | None = None,
    rare: RareSampling | None = None,
    exclude_evaluation: bool = False,
    held_out: int = 0,
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
      crops: how images, and labels of their size, are resized and cropped at random.
      margins: parts of an image at its top, bottom, left and right; `inside` tells which pixels are not in them.
      context: size to which the whole of each image is resized besides (`context`); `window` tells where the crop lies.
      rare: draws images by their rare classes, instead of shuffling all; for labelled ones.
      exclude_evaluation: leave out images that are also in the evaluation split.
      held_out: leave out at most so many images: those that `held_out_images` gives.
      worker, workers: of several workers, each gets its own part (`batch_size / workers` images) of every global
        batch; what the global batches are does not depend on the number of workers.
      corrupt: counts corrupt records, each replaced by the next good one; 10 are allowed by default.
      parallel: how many images are decoded at once; the number of CPU cores by default.

    Returns:
      A data set of dictionaries: `image` uint8 `[B, H, W, 3]` RGB 0-255, `label` uint8 `[B, H_l, W_l]` trainIds (only
      if `labelled`), `filename` string `[B]`, `inside` uint8 `[B, H, W]` (only with `margins`), `context` uint8
      `[B, H_c, W_c, 3]` and `window` float32 `[B, 4]` (only with `context`; see `msda_tf.data.crops.window`).

    Raises:
      UsageError: the split has no labels or no images, or `batch_size` is not a multiple of `workers`.
      MsdaError: a shard is missing, truncated or not the manifest's.
    """
    if batch_size % workers:
        raise UsageError(f"batch_size {batch_size} must be a multiple of the number of workers, {workers}")
    index = _open(manifest, manifest.training_split, exclude_evaluation=exclude_evaluation)
    kept = ~chosen(index.file_names(), held_out) if held_out else np.ones(len(index), bool)
    if held_out:
        index = index.only(kept)
    if labelled and not manifest.splits[manifest.training_split].labelled:
        raise UsageError(
            f"data set {manifest.name!r} has no labels in its split {manifest.training_split!r}: "
            "it can be the target, not a source"
        )
    share = batch_size // workers
    first = first_batch * batch_size
    if rare is None:
        positions = shuffled_records(len(index), seed=seed, stream=stream, first=first)
    else:
        counts = class_counts.read(manifest, manifest.training_split)
        drawn = RareClasses(counts[kept], rare, seed=seed, stream=stream)
        positions = drawn.records(first)
    if workers > 1:
        positions = positions.filter(lambda position, record: position % batch_size // share == worker)

    def finish(position, example):
        size, of_label = image_size, label_size or image_size
        if crops is not None:
            size = of_label = crops.scaled(image_size, [stream_key(seed, f"{stream}/scale"), position])
        if context is not None:
            example["context"] = resize_image(example["image"], context)
        example["image"] = resize_image(example["image"], size)
        if labelled:
            example["label"] = resize_label(example["label"], of_label)
        if margins is not None:
            example["inside"] = resize_label(inside_margins(image_size, margins), size)
        if crops is not None:
            wanted = drawn.drawn(position)[1] if rare is not None else None
            example = crops.cut(example, [stream_key(seed, f"{stream}/crop"), position], wanted)
        elif context is not None:
            example["window"] = window((0, 0), image_size, image_size)
        if flip:
            example = flipped(example, key=[stream_key(seed, f"{stream}/flip"), position])
        # Batches of one, which the paper trains on, need not be copied together.
        return {name: tf.expand_dims(value, 0) for name, value in example.items()} if share == 1 else example

    source = RecordSource(index, labelled=labelled, corrupt=corrupt or CorruptRecords(limit=10))
    examples = load(positions, source, finish, parallel=parallel)
    batches = examples if share == 1 else examples.batch(share, drop_remainder=True)
    return batches.prefetch(_PREFETCHED_BATCHES).with_options(_options())


def evaluation_images(
    manifest: Manifest,
    split: str,
    *,
    limit: int | None = None,
    labelled: bool | None = None,
    corrupt: CorruptRecords | None = None,
    parallel: int | None = None,
) -> tf.data.Dataset:
    """The images of a split one by one, in file order, at their stored size.

    Args:
      manifest: a prepared data set.
      split: name of one of its splits.
      limit: at most this many images, evenly spread over the split.
      labelled: False neither reads nor decodes labels; by default they are given if the split has any.
      corrupt: keeps the error of a corrupt record; by default none is allowed, for a score over other images than
        the split's would be wrong.
      parallel: how many images are decoded at once; the number of CPU cores by default.

    Returns:
      A data set of dictionaries: `image` uint8 `[H, W, 3]` RGB 0-255, `label` uint8 `[H, W]` trainIds (only if
      labelled), `filename` string `[]`.

    Raises:
      UsageError: there is no such split, or it is empty.
      MsdaError: a shard is missing, truncated or not the manifest's.
    """
    index = _open(manifest, split)
    if labelled is None:
        labelled = manifest.splits[split].labelled
    return _one_by_one(index, labelled=labelled, limit=limit, corrupt=corrupt, parallel=parallel)


def held_out_images(
    manifest: Manifest, most: int, *, corrupt: CorruptRecords | None = None, parallel: int | None = None
) -> tf.data.Dataset | None:
    """The images of the training split that `training_batches(held_out=most)` never gives, with their labels.

    Args:
      manifest: a prepared data set with labels.
      most: how many at most.
      corrupt, parallel: as for `evaluation_images`.

    Returns:
      As `evaluation_images`; None if there is none.

    Raises:
      MsdaError: a shard is missing, truncated or not the manifest's.
    """
    index = _open(manifest, manifest.training_split)
    index = index.only(chosen(index.file_names(), most))
    return _one_by_one(index, labelled=True, limit=None, corrupt=corrupt, parallel=parallel) if len(index) else None


def _one_by_one(index: RecordIndex, *, labelled, limit, corrupt, parallel) -> tf.data.Dataset:
    """Examples at their stored size, in order."""
    count = len(index) if limit is None else min(limit, len(index))
    positions = np.arange(count)
    spread = tf.data.Dataset.from_tensor_slices((positions, positions * len(index) // count))
    source = RecordSource(index, labelled=labelled, corrupt=corrupt or CorruptRecords(limit=0))
    examples = load(spread, source, lambda position, example: example, parallel=parallel)
    return examples.prefetch(_PREFETCHED_BATCHES).with_options(_options())


def training_examples(manifest: Manifest, *, exclude_evaluation: bool = False) -> int:
    """Number of images that `training_batches` draws from."""
    return sum(shard.examples for shard in _shards(manifest, manifest.training_split, exclude_evaluation))


def _shards(manifest: Manifest, split: str, exclude_evaluation: bool) -> Sequence[Shard]:
    """Of a split, without those of the evaluation split if so asked."""
    shards = manifest.splits[split].shards
    if exclude_evaluation and manifest.evaluation_split is not None:
        evaluated = {shard.file for shard in manifest.splits[manifest.evaluation_split].shards}
        shards = [shard for shard in shards if shard.file not in evaluated]
    return shards


def _open(manifest: Manifest, split: str, *, exclude_evaluation: bool = False) -> RecordIndex:
    """The index of a split's shards, without those of the evaluation split if so asked."""
    if split not in manifest.splits:
        known = ", ".join(manifest.splits)
        raise UsageError(f"data set {manifest.name!r} has no split {split!r}, only {known}")
    index = RecordIndex(manifest.directory, _shards(manifest, split, exclude_evaluation))
    if not len(index):
        rest = " but those of its evaluation split" if exclude_evaluation else ""
        raise UsageError(f"data set {manifest.name!r} has no images in its split {split!r}{rest}")
    return index


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # Every stage has its fixed number of threads. The tuner's own thread can take a minute to end with its iterator.
    options.autotune.enabled = False
    # Each worker is given its own part by position already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
