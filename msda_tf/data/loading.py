"""From record numbers to decoded examples, with corrupt records replaced.

The fast path is a line of TensorFlow ops that fail on anything unexpected. What fails there goes once more, slowly,
through `RecordSource.recover`, which finds out why, names and counts the record, and puts the next good one in its
place.
"""

import os
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from msda_tf.data import records
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.index import RecordIndex
from msda_tf.data.transforms import decode, decode_image
from msda_tf.errors import MsdaError


class RecordSource:
    """Gives serialized examples: fast and trusting, or slowly and with care.

    Args:
      index: of the shards.
      labelled: whether an example needs a label.
      corrupt: counts the corrupt records.
    """

    def __init__(self, index: RecordIndex, *, labelled: bool, corrupt: CorruptRecords):
        self.labelled = labelled
        self._index = index
        self._corrupt = corrupt
        # tf.data runs on the CPU: on a GPU, every look-up would fetch them from there.
        with tf.device("CPU"):
            self._paths = tf.constant([os.fsencode(path) for path in index.paths])
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
            self._corrupt.nothing_left(self._index.name(first))
        except MsdaError as error:
            return b"", str(error)

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
            decode_image(example.image)
        except tf.errors.InvalidArgumentError as error:
            raise MsdaError(f"({example.filename}) has an image that cannot be decoded ({_reason(error)})") from None
        try:
            decode(tf.constant(serialized), labelled=self.labelled)
        except tf.errors.InvalidArgumentError as error:
            raise MsdaError(f"({example.filename}) has a label that does not fit ({_reason(error)})") from None
        return serialized


def load(chosen: tf.data.Dataset, source: RecordSource, finish: Callable, *, parallel: int | None) -> tf.data.Dataset:
    """Reads and decodes examples, several at once, in order.

    Args:
      chosen: a data set of (position, record) pairs, int64 `[]` each.
      source: gives the serialized example of a record.
      finish: called with a position and the decoded example (see `transforms.decode`); gives the element.
      parallel: how many are read and decoded at once; the number of CPU cores by default.
    """

    @tf.autograph.experimental.do_not_convert  # nothing in it depends on values
    def example(position, record):
        def decoded(serialized):
            return finish(position, decode(serialized, labelled=source.labelled))

        # Exactly one element: the fast path's, or if that gives none (and only then) the careful one's.
        fast = source.read(record).map(decoded).ignore_errors()
        careful = tf.data.Dataset.from_tensors(record).map(lambda record: decoded(source.recover(record)))
        return fast.concatenate(careful).take(1)

    parallel = parallel or _cores()
    return chosen.interleave(example, cycle_length=parallel, num_parallel_calls=parallel, deterministic=True)


def _reason(error: tf.errors.OpError) -> str:
    """TensorFlow's words without the names of its ops."""
    return re.sub(r"{{.*?}} | \[Op:.*", "", error.message.splitlines()[0])


def _cores() -> int:
    """How many CPU cores this process may use; where the system does not tell, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
