"""The memory that there is, and the most used so far."""

import resource
import sys

import tensorflow as tf

_GIB = 2**30


def gpu_limit() -> int | None:
    """Bytes that TensorFlow's allocator hands out at most on the GPU that has fewest; None without a GPU."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    from tensorflow.python.client import device_lib  # its public functions tell what is used, not what there is

    return min(device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU")


def peak() -> dict[str, float]:
    """GiB by name: `memory/process`, the resident memory of this process, and for each GPU `memory/gpu0`, ....

    The GPUs' figures are what TensorFlow's allocator handed out, not what it reserved (which is nearly all there is).
    """
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes there, kibibytes elsewhere
    figures = {"memory/process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB}
    for number, _ in enumerate(tf.config.list_logical_devices("GPU")):
        figures[f"memory/gpu{number}"] = tf.config.experimental.get_memory_info(f"GPU:{number}")["peak"] / _GIB
    return figures
