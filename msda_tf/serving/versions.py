"""The versions of an export: folders whose names are numbers, as TensorFlow Serving takes them."""

import pathlib


def versions(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """Number -> path, from the lowest to the highest; empty where there is no such folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return dict(sorted((int(path.name), path) for path in found if path.name.isdecimal()))
