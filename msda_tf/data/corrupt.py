"""Counting corrupt records, and failing in clear words when there are too many."""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from msda_tf.errors import MsdaError

_AGAIN = "copy the shard again or prepare the data set again"


class CorruptRecords:
    """The corrupt records that were met so far; safe to share between data sets and threads.

    An exception that is raised inside tf.data reaches the caller as an obscure TensorFlow error. This object keeps
    the clear one:

      corrupt = CorruptRecords(limit=10)
      with corrupt.raising():
          for batch in training_batches(manifest, ..., corrupt=corrupt):
              ...

    Args:
      limit: how many different records may be corrupt; one more fails.
    """

    def __init__(self, *, limit: int):
        self._limit = limit
        self._lock = threading.Lock()
        self._records: set[str] = set()
        self._failure = ""

    @property
    def count(self) -> int:
        """Number of different corrupt records met."""
        return len(self._records)

    def add(self, record: str, reason: str) -> None:
        """Notes that a record is corrupt; warns the first time.

        Args:
          record: its shard and its number in it (`RecordIndex.name`).
          reason: what is wrong with it; "<record> <reason>" reads as a sentence.

        Raises:
          MsdaError: there are more than `limit`.
        """
        with self._lock:
            if record not in self._records:
                self._records.add(record)
                if self.count > self._limit:
                    allowed = f", and {self._limit} others are corrupt, which is all that is allowed"
                    self._failure = self._failure or f"{record} {reason}{allowed * (self._limit > 0)}: {_AGAIN}"
                else:
                    logging.warning("%s %s: skipped (%d of at most %d)", record, reason, self.count, self._limit)
        self.check()

    def nothing_left(self, record: str) -> None:
        """Notes that neither a record nor any other of its split can be used.

        Raises:
          MsdaError: always.
        """
        with self._lock:
            self._failure = self._failure or f"{record} is corrupt, and so is every other record of its split: {_AGAIN}"
        self.check()

    def check(self) -> None:
        """Raises the error that ended the input, if there is one."""
        if self._failure:
            raise MsdaError(self._failure) from None

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Turns the TensorFlow error that a block ends with into the MsdaError that caused it, if there is one."""
        try:
            yield
        except tf.errors.OpError as error:
            if self._failure:
                raise MsdaError(self._failure) from error
            raise
