"""The files of a folder of checkpoints: which there are, and whether they are whole. Without TensorFlow.

    step-00001000/weights.index, weights.data-...   TensorFlow's
    step-00001000/checkpoint.json                   step, SHA-256 of each file, the trainer's state, the best step

A checkpoint appears whole, by a rename, and checkpoint.json in the newest one says which is the best: there is no
moment at which one of the two is there without the other. Until 2026 a file `best` beside the checkpoints named it.
"""

import os
import pathlib
import re
from dataclasses import dataclass

from msda_tf import files, state_file
from msda_tf.errors import MsdaError, reason
from msda_tf.state_file import Damaged

INFO = "checkpoint.json"
LAST_STEP = 99_999_999
"""The largest step that fits a folder's name."""

_FOLDER = re.compile(r"step-([0-9]{8})")
_OLD_BEST = "best"


@dataclass(frozen=True)
class Info:
    """What `checkpoint.json` says.

    Attributes:
      step: number of finished steps.
      hashes: SHA-256 of each file by name.
      state: the trainer's own.
      best: step of the best checkpoint so far; None if none was selected.
      knows_best: False in a checkpoint of earlier versions, which does not say.
      unlabelled: step of the best one as far as can be told without labels; None if none was selected so.
    """

    step: int
    hashes: dict[str, str]
    state: dict
    best: int | None
    knows_best: bool
    unlabelled: int | None = None


def folder(directory: pathlib.Path, step: int) -> pathlib.Path:
    """The folder of a checkpoint."""
    return directory / f"step-{step:08d}"


def weights(folder: pathlib.Path) -> pathlib.Path:
    """TensorFlow's name of a checkpoint: the common start of its files."""
    return folder / "weights"


def folders(directory: pathlib.Path) -> dict[int, pathlib.Path]:
    """Step -> folder of whatever looks like a checkpoint, whole or not, ascending.

    Raises:
      MsdaError: the folder of checkpoints cannot be read.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MsdaError(f"{directory} cannot be read: {reason(error)}") from None
    return {int(match[1]): directory / match[0] for match in map(_FOLDER.fullmatch, sorted(names)) if match}


def steps(directory: pathlib.Path) -> list[int]:
    """Steps of the checkpoints in a folder that have a checkpoint.json, ascending."""
    return [step for step, path in folders(directory).items() if (path / INFO).is_file()]


def read(path: pathlib.Path) -> Info:
    """What the checkpoint.json in one checkpoint's folder says.

    Raises:
      Damaged: in words.
    """
    try:
        value = state_file.load(path / INFO)
        step = state_file.whole(value, "step", largest=LAST_STEP)
        hashes = state_file.mapping(value, "files")
        state = state_file.mapping(value, "state")
        best, unlabelled = (
            state_file.whole(value, key, largest=LAST_STEP) if value.get(key) is not None else None
            for key in ("best", "unlabelled")
        )
    except FileNotFoundError:
        raise Damaged(f"{INFO} is missing") from None
    except Damaged as error:
        raise Damaged(f"{INFO} cannot be read ({error})") from None
    if path.name != folder(path.parent, step).name:
        raise Damaged(f"{INFO} is that of step {step}")
    if not hashes or not all(isinstance(each, str) for each in hashes.values()):
        raise Damaged(f"{INFO} names no files with checksums")
    if any(pathlib.PurePath(name).name != name for name in hashes):
        raise Damaged(f"{INFO} names files elsewhere")
    return Info(step, hashes, state, best, "best" in value, unlabelled)


def damage(path: pathlib.Path, *, checksums: bool = True) -> str | None:
    """What is wrong with one checkpoint's folder, or None.

    Args:
      path: the folder `step-00001000`.
      checksums: read every file and compare; otherwise only look whether they are there.
    """
    try:
        for name, expected in read(path).hashes.items():
            if not (path / name).is_file():
                return f"{name} is missing"
            if checksums and files.sha256(path / name) != expected:
                return f"{name} does not match its checksum"
    except Damaged as error:
        return str(error)
    except OSError as error:
        return f"{pathlib.Path(error.filename or path).name} cannot be read ({error.strerror})"
    return None


def best(directory: pathlib.Path) -> int | None:
    """Step of the best checkpoint, or None if none was selected yet: what the newest readable checkpoint says."""
    for path in reversed(folders(directory).values()):
        try:
            info = read(path)
        except Damaged:
            continue
        return info.best if info.knows_best else _old_best(directory)
    return None


def unlabelled(directory: pathlib.Path) -> int | None:
    """Step of the best checkpoint as far as can be told without labels; None if none was selected so."""
    for path in reversed(folders(directory).values()):
        try:
            return read(path).unlabelled
        except Damaged:
            continue
    return None


def checksum(path: pathlib.Path) -> str:
    """By which one checkpoint is known: the SHA-256 of its checkpoint.json, which holds those of its files."""
    return files.sha256(path / INFO)


def forget_old_best(directory: pathlib.Path) -> None:
    """Removes what earlier versions kept beside the checkpoints, once a checkpoint itself says which is the best."""
    (directory / _OLD_BEST).unlink(missing_ok=True)


def _old_best(directory: pathlib.Path) -> int | None:
    try:
        with open(directory / _OLD_BEST, "rb") as file:
            match = _FOLDER.fullmatch(file.read(64).decode("ascii", "replace").strip())
    except OSError:
        return None
    return int(match[1]) if match else None
