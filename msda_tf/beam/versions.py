"""What must be the same on every machine for the same bytes to come out."""

import platform

import msda_tf
from msda_tf.packages import version

# Whatever decodes, resizes or encodes pixels, and what computes.
_PACKAGES = ("numpy", "opencv-python-headless", "pillow", "tensorflow", "keras", "apache-beam")


def installed() -> dict[str, str]:
    """Name -> version: of msda-tf, Python, and the packages that decide about what is written."""
    found = {"msda-tf": msda_tf.__version__, "python": ".".join(platform.python_version_tuple()[:2])}
    return found | {package: version(package) or "none" for package in _PACKAGES}
