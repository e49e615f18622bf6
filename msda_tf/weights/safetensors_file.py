"""Reading `.safetensors` files: a length, a JSON header of that length, and the numbers."""

import json
import math
import pathlib

import numpy as np

from msda_tf.errors import MsdaError

MAX_HEADER = 100 * 2**20
"""Bytes; the format's own limit."""

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U8": "<u1", "BOOL": "|b1",
}  # fmt: skip


def recognises(start: bytes) -> bool:
    """Whether a file that begins with these bytes (9 or more) can be one."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= 2**40


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors by name, floating-point ones as float32.

    Raises:
      MsdaError: the file is cut off, or its header does not fit its content.
    """
    total = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, total - 8):
            raise _damaged(path, f"its header claims {length} bytes, the file has {total}")
        try:
            header = json.loads(file.read(length))
            entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
            size = total - 8 - length
            places = {name: _place(entry) for name, entry in entries.items()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise _damaged(path, "its header is not that of safetensors") from None
        # Tensors follow each other without gaps, so a small file cannot become a large one in memory.
        position = 0
        for name, (kind, shape, begin, end) in sorted(places.items(), key=lambda item: item[1][2:]):
            if begin != position or end - begin != math.prod(shape) * kind.itemsize or end > size:
                raise _damaged(path, f"{' '.join(name.split())[:80]} does not lie where the header says")
            position = end
        if position != size:
            raise _damaged(path, "it holds more or less than its header says")
        tensors = {}
        for name, (kind, shape, begin, _) in places.items():
            file.seek(8 + length + begin)
            values = np.fromfile(file, kind, math.prod(shape)).reshape(shape)
            tensors[name] = _as_float32(values, entries[name]["dtype"])
    return tensors


def _place(entry: dict) -> tuple[np.dtype, tuple[int, ...], int, int]:
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if len(shape) > 32 or not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
        raise ValueError
    return np.dtype(_TYPES[entry["dtype"]]), tuple(shape), begin, end


def _as_float32(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "BF16":  # the upper half of a float32's bits
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(np.float32) if values.dtype.kind == "f" else values


def _damaged(path, reason: str) -> MsdaError:
    return MsdaError(f"{path} is damaged or no safetensors file ({reason}): get it again")
