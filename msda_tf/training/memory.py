"""The memory that there is, and the most used so far."""

import pathlib
import re
import resource
import sys
from collections.abc import Iterator

import tensorflow as tf

_GIB = 2**30


def gpu_limit() -> int | None:
    """Bytes that TensorFlow's allocator hands out at most on the GPU that has fewest; None without a GPU."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    from tensorflow.python.client import device_lib  # its public functions tell what is used, not what there is

    return min(device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU")


def cpu_left(root: pathlib.Path = pathlib.Path("/")) -> int | None:
    """Bytes that this process can still take: what Linux has to give, or a control group's limit leaves; else None.

    Caches of files, which the system gives up when memory is asked for, are not counted as taken. Swap is not counted:
    training from it would not end.

    Args:
      root: where /proc and /sys are found.
    """
    # https://docs.kernel.org/filesystems/proc.html#meminfo
    found = re.search(r"^MemAvailable: +(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if not found:
        return None
    return max(0, min([int(found[1]) * 1024, *_left_in_groups(root)]))


def _left_in_groups(root: pathlib.Path) -> Iterator[int]:
    """What the process' control group and each group around it leave, of either version of their interface."""
    # https://docs.kernel.org/admin-guide/cgroup-v2.html#memory, and cgroup-v1/memory.html
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, kinds, path = line.split(":", 2)
        if number == "0":
            top, limit, used, cached = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in kinds.split(","):
            top, limit, used = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cached = "total_inactive_file"
        else:
            continue
        # In a container the path may be that of the host: then the container's own group is the top.
        group = pathlib.PurePosixPath(path.lstrip("/"))
        for each in (group, *group.parents):
            texts = [_text(root / top / each / name).strip() for name in (limit, used)]
            if all(text.isdecimal() for text in texts):
                free = re.search(rf"^{cached} (\d+)$", _text(root / top / each / "memory.stat"), re.MULTILINE)
                yield int(texts[0]) - int(texts[1]) + (int(free[1]) if free else 0)


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def peak() -> dict[str, float]:
    """GiB by name: `memory/process`, the resident memory of this process, and for each GPU `memory/gpu0`, ....

    The GPUs' figures are what TensorFlow's allocator handed out, not what it reserved (which is nearly all there is).
    """
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes there, kibibytes elsewhere
    figures = {"memory/process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB}
    for number, _ in enumerate(tf.config.list_logical_devices("GPU")):
        figures[f"memory/gpu{number}"] = tf.config.experimental.get_memory_info(f"GPU:{number}")["peak"] / _GIB
    return figures
