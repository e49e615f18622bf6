"""Which image comes when: functions of the seed and the position alone, so that any step can be the first.

Nothing here holds a state that would have to be saved: the image at position p of a stream is entry p % n of the
permutation of epoch p // n, and every epoch's permutation is computed from (seed, stream, epoch) alone. All of it is
TensorFlow ops: tf.data threads that call Python can hang a process that is about to exit.
"""

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def stream_key(seed: int, stream: str) -> int:
    """A 64-bit key for stateless random ops, independent for every seed and name of a stream."""
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def permutation(size: int, *, seed: int, stream: str, epoch: int | tf.Tensor) -> tf.Tensor:
    """A random permutation, int32 `[size]`, of `range(size)`.

    Args:
      size: number of entries.
      seed: of the run.
      stream: name of what is shuffled; streams of different names are independent.
      epoch: int64 `[]`, >= 0.
    """
    # tf.random.experimental.index_shuffle needs no memory, but knows only 256 permutations, and not uniform ones.
    key = tf.stack([tf.constant(stream_key(seed, stream), tf.int64), tf.cast(epoch, tf.int64)])
    draws = tf.random.stateless_uniform([size], key, minval=None, maxval=None, dtype=tf.int64, alg="philox")
    return tf.argsort(draws, direction="DESCENDING")


def shuffled_records(size: int, *, seed: int, stream: str, first: int = 0) -> tf.data.Dataset:
    """An endless order over `size` > 0 records, a new permutation every epoch.

    Args:
      size: number of records.
      seed, stream: as for `permutation`.
      first: position to begin at, >= 0; any costs the same.

    Returns:
      A data set of pairs, int64 `[]` each: position in the stream (first, first + 1, ...), and record.
    """

    @tf.autograph.experimental.do_not_convert  # nothing in it depends on values
    def of_epoch(epoch):
        return tf.data.Dataset.from_tensor_slices(permutation(size, seed=seed, stream=f"{stream}/order", epoch=epoch))

    end = np.iinfo(np.int64).max
    records = tf.data.Dataset.range(first // size, end).flat_map(of_epoch).skip(first % size)
    return tf.data.Dataset.zip(tf.data.Dataset.range(first, end), records.map(lambda record: tf.cast(record, tf.int64)))


class PooledSchedule:
    """From which data set each batch of a pooled stream comes ("all source images together").

    Data sets differ in image size, so each batch comes from one data set. The data sets keep their own endless
    orders; this says which of them goes on at each step.

    Args:
      sizes: number of images of each data set, > 0.
      batch_size: images in a batch.
      sampling: "concat" shuffles the batches of all data sets together, so that each data set is drawn in proportion
        to its size; "balanced" draws each equally often.
      seed: of the run.
      stream: name of the pool; pools of different names are shuffled independently.

    Raises:
      ValueError: `sampling` is neither.
    """

    def __init__(self, sizes: Sequence[int], *, batch_size: int, sampling: str, seed: int, stream: str = "pooled"):
        if sampling == "concat":
            counts = [max(1, round(size / batch_size)) for size in sizes]
        elif sampling == "balanced":
            counts = [1] * len(sizes)
        else:
            raise ValueError(f"sampling is concat or balanced, not {sampling!r}")
        self._counts = np.asarray(counts, np.int64)
        batches = np.repeat(np.arange(len(sizes)), counts)
        self._length = len(batches)

        # Steps are asked for in order: the rounds at hand are at most those on either side of a border.
        @functools.lru_cache(2)
        def round_of(number: int) -> np.ndarray:
            with tf.device("CPU"):
                order = permutation(len(batches), seed=seed, stream=f"{stream}/{sampling}", epoch=number)
            return batches[order.numpy()]

        self._round = round_of

    def data_set(self, step: int) -> int:
        """Number (from 0) of the data set that gives the batch of a step >= 0."""
        number, index = divmod(int(step), self._length)
        return int(self._round(number)[index])

    def batches_before(self, step: int) -> np.ndarray:
        """How many batches each data set has given before a step: int64 `[D]`; its own batch number to go on with."""
        number, index = divmod(int(step), self._length)
        begun = np.bincount(self._round(number)[:index], minlength=len(self._counts))
        return number * self._counts + begun
