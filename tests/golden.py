"""Golden values: what the Torch reference gave, for machines without Torch. `make_golden.py` writes them."""

import functools
import pathlib

import numpy as np

PATH = pathlib.Path(__file__).parent / "golden" / "deeplab.npz"


def pack(prefix: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Many small arrays of one shape as two: names and values."""
    return {f"{prefix} names": np.array(list(values)), f"{prefix} values": np.stack(list(values.values()))}


@functools.cache
def _arrays() -> dict[str, np.ndarray]:
    with np.load(PATH) as file:
        return dict(file)


def array(name: str) -> np.ndarray:
    """A stored array."""
    return _arrays()[name]


def unpack(prefix: str) -> dict[str, np.ndarray]:
    """What was given to `pack`."""
    return dict(zip(array(f"{prefix} names").tolist(), array(f"{prefix} values"), strict=True))
