"""Random access to the records of TFRecord shards.

A TFRecord file is a sequence of: length (uint64), masked CRC-32C of the length, payload, masked CRC-32C of the
payload (https://www.tensorflow.org/tutorials/load_data/tfrecord). Shards can only be read front to back as such, but
their headers alone tell where every record lies, so that training can start at any step without reading what came
before it.
"""

import contextlib
import copy
import os
import pathlib
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from msda_tf import files
from msda_tf.data import records
from msda_tf.data.manifest import Shard
from msda_tf.data.tfrecord import masked_crc
from msda_tf.errors import MsdaError

_HEADER = struct.Struct("<Q4s")
_FOOTER_SIZE = 4


class RecordIndex:
    """The records of several shards, numbered from 0 in shard order.

    Attributes:
      paths: of the shards.
      shards: number of the shard (in `paths`) that holds each record, int64 `[N]`.
      offsets: where each record begins in its shard, int64 `[N]`, in bytes.

    Args:
      directory: the folder that holds the shards.
      shards: their entries in the manifest; number of examples and bytes must be those on disk.

    Raises:
      MsdaError: a shard is missing, truncated, damaged in a header, or not the one that the manifest describes.
    """

    def __init__(self, directory: str | os.PathLike, shards: Sequence[Shard]):
        self.paths = [pathlib.Path(directory) / shard.file for shard in shards]
        # Threads, because the time goes into waiting for the disk.
        with ThreadPoolExecutor(8) as pool:
            scanned = list(pool.map(_scan, self.paths, shards))
        counts = [len(offsets) for offsets, _ in scanned]
        empty = np.zeros(0, np.int64)
        self.shards = np.repeat(np.arange(len(shards)), counts)
        self._numbers = np.concatenate([np.zeros(0, np.int64), *map(np.arange, counts)])
        self.offsets = np.concatenate([empty, *(offsets for offsets, _ in scanned)])
        self._lengths = np.concatenate([empty, *(lengths for _, lengths in scanned)])

    def __len__(self) -> int:
        return len(self.offsets)

    def name(self, record: int) -> str:
        """How messages name a record: its shard, and its number inside it from 0."""
        return f"{self.paths[self.shards[record]]}: record {self._numbers[record]}"

    def only(self, chosen: np.ndarray) -> "RecordIndex":
        """The records of which `chosen`, bool `[N]`, is true, numbered from 0; messages name them as before."""
        part = copy.copy(self)
        for name in ("shards", "offsets", "_lengths", "_numbers"):
            setattr(part, name, getattr(self, name)[chosen])
        return part

    def file_names(self) -> list[bytes | None]:
        """The name of each record's image (`image/filename`), without reading the image; None where it cannot be told.

        Raises:
          MsdaError: a shard cannot be read.
        """
        names: list[bytes | None] = []
        with contextlib.ExitStack() as opened:
            try:
                shards = [opened.enter_context(open(path, "rb", buffering=0)).fileno() for path in self.paths]
                for shard, offset, length in zip(self.shards, self.offsets, self._lengths, strict=True):
                    names.append(records.filename(_Payload(shards[shard], int(offset) + _HEADER.size, int(length))))
            except OSError as error:
                raise MsdaError(f"{self.paths[0].parent}: shards cannot be read ({error.strerror})") from None
        return names

    def read(self, record: int) -> bytes:
        """The payload of a record; safe to call from several threads.

        Raises:
          MsdaError: the record cannot be read or fails its checksum; names the shard and the record's number in it.
        """
        start, length = int(self.offsets[record]) + _HEADER.size, int(self._lengths[record])
        try:
            with open(self.paths[self.shards[record]], "rb", buffering=0) as file:
                data = os.pread(file.fileno(), length + _FOOTER_SIZE, start)
        except OSError as error:
            raise MsdaError(f"{self.name(record)} cannot be read ({error.strerror})") from None
        if len(data) != length + _FOOTER_SIZE:
            raise MsdaError(f"{self.name(record)} is cut off: the file is shorter than when it was opened")
        payload = data[:length]
        if masked_crc(payload) != data[length:]:
            raise MsdaError(f"{self.name(record)} is damaged (wrong checksum)")
        return payload


class _Payload:
    """Parts of a record's payload, read as they are asked for."""

    _BLOCK = 1024

    def __init__(self, file: int, start: int, length: int):
        self._file, self._start, self._length = file, start, length
        self._block, self._at = b"", 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> bytes:
        begin, end = part.start, min(part.stop, self._length)
        if not self._at <= begin <= end <= self._at + len(self._block):
            size = min(max(end - begin, self._BLOCK), self._length - begin)
            self._block, self._at = os.pread(self._file, size, self._start + begin), begin
        return self._block[begin - self._at : end - self._at]


def _scan(path: pathlib.Path, shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    """Where a shard's records begin, and the lengths of their payloads: int64 `[N]` each, in bytes."""
    again = "copy it again or prepare the data set again"
    offsets, lengths = [], []
    try:
        with files.open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            position = 0
            while position < size:
                header = os.pread(file.fileno(), _HEADER.size, position)
                if len(header) < _HEADER.size:
                    raise MsdaError(f"{path} is truncated in record {len(offsets)}: {again}")
                length, crc = _HEADER.unpack(header)
                if masked_crc(header[:8]) != crc:
                    raise MsdaError(f"{path} is damaged at record {len(offsets)}, where a length is due: {again}")
                offsets.append(position)
                lengths.append(length)
                position += _HEADER.size + length + _FOOTER_SIZE
                if position > size:
                    raise MsdaError(f"{path} is truncated in record {len(offsets) - 1}: {again}")
    except FileNotFoundError:
        raise MsdaError(f"{path} does not exist, but the data set's manifest names it: {again}") from None
    except OSError as error:
        raise MsdaError(f"{path} cannot be read ({error.strerror}): {again}") from None
    if len(offsets) != shard.examples or size != shard.bytes:
        raise MsdaError(
            f"{path} holds {len(offsets)} records in {size} bytes, but the manifest says {shard.examples} in"
            f" {shard.bytes}: {again}"
        )
    return np.asarray(offsets, np.int64), np.asarray(lengths, np.int64)
