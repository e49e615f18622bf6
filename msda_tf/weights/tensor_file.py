"""Files of named tensors, as Torch and Hugging Face write them."""

import pathlib

import numpy as np

from msda_tf.weights import safetensors_file, torch_file


def read(path: pathlib.Path, start: bytes) -> dict[str, np.ndarray] | None:
    """The tensors of a Torch or safetensors file that begins with the bytes `start`; None if it is neither.

    Raises:
      UsageError, MsdaError: see `msda_tf.weights.torch_file.read` and `msda_tf.weights.safetensors_file.read`.
    """
    # A zip archive, or a pickle as Torch wrote it before 1.6.
    if start.startswith((b"PK", b"\x80")) and not safetensors_file.recognises(start):
        return torch_file.read(path)
    return safetensors_file.read(path) if safetensors_file.recognises(start) else None
