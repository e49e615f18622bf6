"""NVIDIA's GPUs as the machine shows them, whether or not TensorFlow can use them."""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess

REMEDY = "pip install 'msda-tf[cuda]'"


def here() -> bool:
    """Whether this machine has a GPU of NVIDIA's that this process may use."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1", "NoDevFiles"):
        return False  # hidden on purpose
    return any(pathlib.Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None


def names() -> list[str]:
    """Name, driver and memory of each, as nvidia-smi says; none if it says nothing."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.used,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def libraries() -> dict[str, str]:
    """Versions of the installed packages that bring CUDA."""
    found = {}
    for package in importlib.metadata.distributions():
        name = (package.metadata["Name"] or "").lower()
        if re.fullmatch(r"nvidia-(cublas|cuda-runtime|cudnn|cusolver|nccl)(-cu\d+)?", name):
            found[name] = package.version
    return found


def why_unused(log: str = "") -> str:
    """Why TensorFlow finds none although there is one, and what to do.

    Args:
      log: what TensorFlow printed when it was loaded.
    """
    if not any(name.startswith("nvidia-cudnn") for name in libraries()):
        return f"CUDA's libraries are not installed: {REMEDY}"
    said = re.search(r"failed call to cuInit: (.*)", log) or re.search(r"(Cannot dlopen .*?)\.", log)
    reason = f" ({said[1].strip()[:200]})" if said else ""
    return (
        f"its driver does not answer{reason}: does nvidia-smi work here, and does the container have the GPU? "
        f"Libraries that do not fit the driver are replaced by {REMEDY}"
    )
