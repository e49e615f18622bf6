"""The files of a folder of checkpoints: which there are, and whether they are whole. Without TensorFlow."""

import json
import pathlib

from msda_tf import files

INFO = "checkpoint.json"


def steps(directory: pathlib.Path) -> list[int]:
    """Steps of the checkpoints in a folder, ascending."""
    return sorted(int(path.name[5:]) for path in directory.glob("step-????????") if (path / INFO).is_file())


def damage(path: pathlib.Path, *, checksums: bool = True) -> str | None:
    """What is wrong with one checkpoint's folder, or None.

    Args:
      path: the folder `step-00001000`.
      checksums: read every file and compare; otherwise only look whether they are there.
    """
    try:
        info = json.loads((path / INFO).read_text())
        hashes = info["files"]
        info["step"], info["state"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{INFO} cannot be read ({type(error).__name__})"
    for name, expected in hashes.items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if checksums and files.sha256(path / name) != expected:
            return f"{name} does not match its checksum"
    return None
