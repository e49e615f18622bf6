"""Torch files as `torch.save` writes them since version 1.6: a zip archive, nothing in it compressed.

`NAME/data.pkl` describes the object, `NAME/data/KEY` holds the numbers of a storage.
"""

import io
import pathlib
import zipfile

import numpy as np

from msda_tf.weights import tensor_pickle


def read(path: pathlib.Path) -> tuple[object, dict[str, np.ndarray]]:
    """What the file holds, as `msda_tf.weights.legacy_pickle.read` gives it.

    Raises:
      MsdaError: the file is damaged or cut off, or holds anything but tensors, numbers and texts.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            # A small file must not become a large one in memory.
            size = sum(member.file_size for member in members.values())
            if size > path.stat().st_size or any(member.compress_type for member in members.values()):
                raise tensor_pickle.damaged(path, "its archive is compressed")
            description = next((name for name in members if name.split("/", 1)[-1] == "data.pkl"), None)
            if description is None:
                raise tensor_pickle.damaged(path, "its archive has no data.pkl")
            folder = description.removesuffix("data.pkl")
            if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
                raise tensor_pickle.damaged(path, "its numbers are big-endian")
            value = tensor_pickle.read(io.BytesIO(archive.read(description)), path)
            storages = {}
            for entry in tensor_pickle.entries(value):
                if entry.storage not in storages:
                    numbers = archive.read(f"{folder}data/{entry.storage}")
                    storages[entry.storage] = np.frombuffer(numbers, tensor_pickle.number_type(entry), entry.size)
    except (zipfile.BadZipFile, LookupError, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise tensor_pickle.damaged(path, error) from None
    return value, storages
