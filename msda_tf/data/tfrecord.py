"""The TFRecord container without TensorFlow: length, checksum of the length, data, checksum of the data.

The format is described in TensorFlow's guide "TFRecord and tf.train.Example", under "TFRecords format details".
"""

import os
import pathlib
import struct
from collections.abc import Iterator

import google_crc32c

from msda_tf import files

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")


def masked_crc(data: bytes) -> bytes:
    """The checksum of `data` as the file holds it: CRC-32C, rotated and offset, in 4 bytes."""
    crc = google_crc32c.value(data)
    return _CHECKSUM.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(data: bytes) -> bytes:
    """`data` as one record of a TFRecord file; a file is its records one after the other."""
    length = _LENGTH.pack(len(data))
    return b"".join((length, masked_crc(length), data, masked_crc(data)))


def read(path: pathlib.Path) -> Iterator[bytes]:
    """Yields the records of a file.

    Raises:
      ValueError: the file ends inside a record or a checksum does not fit; the message says at which byte.
    """
    with files.open_regular(path) as file:
        position, whole = 0, os.fstat(file.fileno()).st_size
        while head := file.read(_LENGTH.size + _CHECKSUM.size):
            length = head[: _LENGTH.size]
            if head[_LENGTH.size :] != masked_crc(length):
                raise ValueError(f"damaged record at byte {position}: the checksum of its length does not fit")
            (size,) = _LENGTH.unpack(length)
            # No more than there is, whatever a length says whose checksum fits.
            data = file.read(size) if size <= whole else b""
            if len(data) < size or file.read(_CHECKSUM.size) != masked_crc(data):
                raise ValueError(f"damaged record at byte {position}: the checksum of its data does not fit")
            yield data
            position = file.tell()
