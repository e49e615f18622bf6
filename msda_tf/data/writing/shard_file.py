"""A shard while it is written: records one after the other, and what dataset.json says of them."""

import hashlib
from collections import Counter
from typing import IO

import numpy as np

from msda_tf.data import records, tfrecord


class ShardFile:
    """Writes records and keeps count.

    Args:
      file: open for writing bytes.

    Attributes:
      examples, bytes: written so far.
      rgb_sum, pixels: sum of the images' pixels per channel, and their number.
      sizes: "<width>x<height>" -> number of images.
    """

    def __init__(self, file: IO[bytes]):
        self._file, self._digest, self._rgb_sum, self._sizes = file, hashlib.sha256(), np.zeros(3, object), Counter()
        self.examples = self.bytes = self.pixels = 0

    def add(self, record: records.Record, rgb_sum: tuple[int, int, int]) -> None:
        """Writes a record whose image's pixels sum up to `rgb_sum`."""
        framed = tfrecord.frame(records.to_example(record))
        self._file.write(framed)
        self._digest.update(framed)
        self.examples += 1
        self.bytes += len(framed)
        self._rgb_sum += rgb_sum
        self.pixels += record.height * record.width
        self._sizes[f"{record.width}x{record.height}"] += 1

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()

    @property
    def rgb_sum(self) -> tuple[int, int, int]:
        """See the class."""
        return tuple(int(value) for value in self._rgb_sum)

    @property
    def sizes(self) -> dict[str, int]:
        """See the class."""
        return dict(self._sizes)
