"""Torch files as `torch.save` wrote them before version 1.6: pickles one after the other, then the numbers.

In order: a magic number, the format's version, facts about the machine, the object (tensors name the storage that they
are a view of), the storages' keys, and for each key a 64-bit count and the storage's numbers.
"""

import mmap
import pathlib
import struct

import numpy as np

from msda_tf.weights import tensor_pickle

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001


def read(path: pathlib.Path) -> tuple[object, dict[str, np.ndarray]]:
    """What the file holds.

    Returns:
      (content, storages): the object, with a `msda_tf.weights.tensor_pickle.TensorEntry` for each tensor; for each key
      that these name, its numbers `[N]` (bfloat16 as uint16), which stay in the file until they are looked at.

    Raises:
      MsdaError: the file is damaged or cut off, or holds anything but tensors, numbers and texts.
    """
    with open(path, "rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file
            raise tensor_pickle.damaged(path, error) from None
    magic, version, machine, value, keys = (tensor_pickle.read(content, path) for _ in range(5))
    if magic != MAGIC or version != VERSION:
        raise tensor_pickle.damaged(path, "it does not begin with Torch's magic number")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise tensor_pickle.damaged(path, "its numbers are big-endian")
    if not isinstance(keys, list):
        raise tensor_pickle.damaged(path, "it does not list its storages")
    named = {entry.storage: entry for entry in tensor_pickle.entries(value)}
    storages, position = {}, content.tell()
    for key in keys:
        if key not in named:
            raise tensor_pickle.damaged(path, "it has a storage that no tensor names")
        kind, size = tensor_pickle.number_type(named[key]), named[key].size
        if position + 8 + size * kind.itemsize > len(content):
            raise tensor_pickle.damaged(path, "it ends before its last tensor")
        if struct.unpack_from("<q", content, position) != (size,):
            raise tensor_pickle.damaged(path, "a storage has another size than its tensor says")
        storages[key] = np.frombuffer(content, kind, size, position + 8)
        position += 8 + size * kind.itemsize
    if len(storages) < len(named):
        raise tensor_pickle.damaged(path, "the numbers of a tensor are missing")
    return value, storages
