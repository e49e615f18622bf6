"""Images through the networks one after the other: read ahead, run in batches, written behind."""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from msda_tf.errors import MsdaError

BATCH_PIXELS = 1 << 21
"""On a GPU, small images share a call up to this many pixels: one Cityscapes image."""

# Images that are read before the networks need them: a few hide the disk's latency, many would fill the memory.
_AHEAD = 8


def stream(
    items: Iterable,
    *,
    read: Callable[[Any], tf.Tensor],
    segment: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    write: Callable[[Any, np.ndarray, dict[str, np.ndarray]], None],
    readers: int | None = None,
    writers: int | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Reads, segments and writes images.

    Args:
      items: what each image is known by; str(item) names it in messages.
      read: gives an item's image, uint8 `[H, W, 3]` RGB; called in several threads, but begun in order.
      segment: of images `[B, H, W, 3]`, gives maps `[B, ...]` by name.
      write: takes an item, its image and its maps `[...]` by name; called in several threads, but begun in order.
      readers: number of threads that read; as many as there are cores by default.
      writers: number of threads that write; as many as there are cores by default.
      on_progress: called with the number of images done.

    Returns:
      the messages of the items that failed with an MsdaError in `read` or for want of memory; the others were written.
    """
    failed, done = [], 0
    readers, writers = readers or os.cpu_count(), writers or os.cpu_count()

    def load(item):
        try:
            return item, read(item), None
        except MsdaError as error:
            return item, None, str(error)

    def images(pool):
        nonlocal done
        for item, image, error in _ahead(pool, load, items):
            if error is None:
                yield item, image
            else:
                failed.append(error)
                done += 1
                on_progress(done)

    with (
        concurrent.futures.ThreadPoolExecutor(readers) as reader,
        concurrent.futures.ThreadPoolExecutor(writers) as pool,
    ):
        writing: collections.deque = collections.deque()
        for batch in batches(images(reader)):
            try:
                maps = segment(tf.stack([image for _, image in batch]))
                maps = {name: value.numpy() for name, value in maps.items()}
            except tf.errors.ResourceExhaustedError:
                height, width = batch[0][1].shape[:2]
                reason = f"{width}x{height} pixels do not fit into memory: shrink the image"
                failed += [f"{item}: {reason}" for item, _ in batch]
            else:
                for index, (item, image) in enumerate(batch):
                    one = {name: value[index] for name, value in maps.items()}
                    writing.append(pool.submit(write, item, image.numpy(), one))
            while len(writing) > 2 * writers:
                writing.popleft().result()
            done += len(batch)
            on_progress(done)
        for future in writing:
            future.result()
    return failed


def batches(pairs: Iterable[tuple[Any, tf.Tensor]]) -> Iterator[list[tuple[Any, tf.Tensor]]]:
    """Runs of consecutive (item, image `[H, W, 3]`) of one size; single ones on a CPU, which gains nothing by more."""
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    batch: list = []
    for item, image in pairs:
        pixels = (len(batch) + 1) * image.shape[0] * image.shape[1]
        if batch and not (on_gpu and pixels <= BATCH_PIXELS and batch[0][1].shape == image.shape):
            yield batch
            batch = []
        batch.append((item, image))
    if batch:
        yield batch


def _ahead(pool: concurrent.futures.Executor, function: Callable, items: Iterable) -> Iterator:
    """`map(function, items)` in order, a few calls ahead of the consumer."""
    waiting: collections.deque = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
