"""What is said when images do not fit into the memory beside the networks."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, out_of_memory


@contextlib.contextmanager
def room_for(manifest: Manifest) -> Iterator[None]:
    """While networks run on a data set's images.

    Raises:
      MsdaError: the device's memory is too small; says what to do.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MsdaError(
            f"{out_of_memory(error.message)} with images of {manifest.width}x{manifest.height}: evaluate fewer runs at "
            f"once, prepare {manifest.name} with --scale 0.5, or hide the GPU (CUDA_VISIBLE_DEVICES=-1)"
        ) from None
