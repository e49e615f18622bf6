"""What must be the same on every machine for the same bytes to come out."""

import importlib.metadata
import platform

import msda_tf

# Whatever decodes, resizes or encodes pixels, and what computes.
_PACKAGES = ("numpy", "opencv-python-headless", "pillow", "tensorflow", "keras", "apache-beam")


def installed() -> dict[str, str]:
    """Name -> version: of msda-tf, Python, and the packages that decide about what is written."""
    found = {"msda-tf": msda_tf.__version__, "python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    return found
