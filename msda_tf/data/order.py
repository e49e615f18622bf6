"""Which image comes when: pure functions of the seed and the position, so that any step can be the first.

Nothing here holds a state that would have to be saved: the image at position p of a stream is entry p % n of the
permutation of epoch p // n, and every epoch's permutation is computed from (seed, stream, epoch) alone.
"""

import functools
import zlib
from collections.abc import Sequence

import numpy as np


def permutation(size: int, *, seed: int, stream: str, epoch: int) -> np.ndarray:
    """A random permutation, int64 `[size]`, of `range(size)`.

    NumPy guarantees the raw output of its bit generators for good, but not that of `Generator.permutation`: sorting
    raw output gives the same order in every version.

    Args:
      size: number of entries.
      seed: of the run, >= 0.
      stream: name of what is shuffled; streams of different names are independent.
      epoch: >= 0.
    """
    entropy = np.random.SeedSequence([seed, zlib.crc32(stream.encode()), epoch])
    return np.argsort(np.random.PCG64(entropy).random_raw(size), kind="stable")


class ShuffledOrder:
    """An endless order over `size` records: a new permutation every epoch.

    Args:
      size: number of records, > 0.
      seed, stream: as for `permutation`.
    """

    def __init__(self, size: int, *, seed: int, stream: str):
        self._size = size
        # Positions are asked for nearly in order: the epochs at hand are at most those on either side of a border.
        self._epoch = functools.lru_cache(4)(
            lambda epoch: permutation(size, seed=seed, stream=f"{stream}/order", epoch=epoch)
        )

    def __call__(self, position: int) -> int:
        """The record at a position >= 0 of the stream."""
        epoch, index = divmod(int(position), self._size)
        return int(self._epoch(epoch)[index])


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

    Raises:
      ValueError: `sampling` is neither.
    """

    def __init__(self, sizes: Sequence[int], *, batch_size: int, sampling: str, seed: int):
        if sampling == "concat":
            counts = [max(1, round(size / batch_size)) for size in sizes]
        elif sampling == "balanced":
            counts = [1] * len(sizes)
        else:
            raise ValueError(f"sampling is concat or balanced, not {sampling!r}")
        self._counts = np.asarray(counts, np.int64)
        batches = np.repeat(np.arange(len(sizes)), counts)
        self._round = functools.lru_cache(4)(
            lambda number: batches[permutation(len(batches), seed=seed, stream=f"pooled/{sampling}", epoch=number)]
        )
        self._length = len(batches)

    def data_set(self, step: int) -> int:
        """Number (from 0) of the data set that gives the batch of a step >= 0."""
        number, index = divmod(int(step), self._length)
        return int(self._round(number)[index])

    def batches_before(self, step: int) -> np.ndarray:
        """How many batches each data set has given before a step: int64 `[D]`; its own batch number to go on with."""
        number, index = divmod(int(step), self._length)
        begun = np.bincount(self._round(number)[:index], minlength=len(self._counts))
        return number * self._counts + begun
