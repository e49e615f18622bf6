"""Reading Torch's `.pth` files, without Torch."""

import math
import pathlib

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.weights import legacy_pickle, tensor_pickle, torch_archive
from msda_tf.weights.tensor_pickle import TensorEntry

# Where training scripts put the weights inside what they save.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict by their full names, floating-point ones as float32.

    The file is never executed: see `msda_tf.weights.tensor_pickle`.

    Raises:
      UsageError: the file holds no state dict.
      MsdaError: the file is damaged or holds Python objects.
    """
    with open(path, "rb") as file:
        archive = file.read(2) == b"PK"
    content, storages = (torch_archive if archive else legacy_pickle).read(path)
    for _ in _WRAPPERS:
        content = next((content[name] for name in _WRAPPERS if isinstance(content, dict) and name in content), content)
    if not isinstance(content, dict) or not any(isinstance(value, TensorEntry) for value in content.values()):
        kind = "tensor" if isinstance(content, TensorEntry) else type(content).__name__
        raise UsageError(f"{path} holds no state dict but a {kind}: save model.state_dict()")
    tensors = {str(name): entry for name, entry in content.items() if isinstance(entry, TensorEntry)}
    # Tensors may share a storage, as tied weights do, but not so that a small file becomes a large one in memory.
    if sum(math.prod(entry.shape) for entry in tensors.values()) > 2 * sum(map(len, storages.values())):
        raise tensor_pickle.damaged(path, "its tensors claim more numbers than it holds")
    return {name: _array(entry, storages[entry.storage], path) for name, entry in tensors.items()}


def _array(entry: TensorEntry, storage: np.ndarray, path) -> np.ndarray:
    """A copy of the view of a storage that a tensor is."""
    last = entry.offset + sum((size - 1) * stride for size, stride in zip(entry.shape, entry.strides, strict=True))
    if math.prod(entry.shape) and last >= len(storage):
        raise tensor_pickle.damaged(path, "a tensor reaches beyond its storage")
    strides = [stride * storage.itemsize for stride in entry.strides]
    view = np.lib.stride_tricks.as_strided(storage[entry.offset :], entry.shape, strides, writeable=False)
    if entry.dtype == "bfloat16":
        return (view.astype(np.uint32, order="C") << 16).view(np.float32)
    with np.errstate(over="ignore"):  # of a double
        return np.array(view, np.float32 if view.dtype.kind == "f" else view.dtype, order="C")
