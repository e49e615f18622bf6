"""A folder of checkpoints that are either whole or not there.

Each checkpoint is a folder `step-00001000/` with TensorFlow's checkpoint files and `checkpoint.json`: the step, the
trainer's own state, and the SHA-256 of every file. It is written under another name and renamed when complete.
"""

import json
import os
import pathlib
import shutil

import tensorflow as tf
from absl import logging

from msda_tf import files
from msda_tf.errors import MsdaError
from msda_tf.training import checkpoint_files
from msda_tf.training.checkpoint_files import INFO


class Checkpoints:
    """The last few checkpoints of one network, and the best one.

    Args:
      directory: the folder; made when the first checkpoint is written.
      keep: how many of the last are kept. The best is kept besides them.
    """

    def __init__(self, directory: str | os.PathLike, *, keep: int = 3):
        self.directory, self.keep = pathlib.Path(directory), keep

    def save(
        self, objects: dict[str, tf.train.Checkpoint], *, step: int, state: dict, best: bool = False
    ) -> pathlib.Path:
        """Writes a checkpoint, atomically, then removes those beyond `keep`.

        Args:
          objects: trackable objects by name.
          step: number of finished steps.
          state: JSON-ready values to get back on resume.
          best: also mark it as the best so far.

        Raises:
          MsdaError: the disk is full or not writable; earlier checkpoints are untouched.
        """
        path = self.directory / f"step-{step:08d}"
        temporary = self.directory / f".{path.name}.part"
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            tf.train.Checkpoint(**objects).write(str(temporary / "weights"))
            hashes = {file.name: files.sha256(file) for file in sorted(temporary.iterdir())}
            files.write_json(temporary / INFO, {"step": step, "files": hashes, "state": state})
            shutil.rmtree(path, ignore_errors=True)
            os.replace(temporary, path)
            if best:
                with files.replacing(self.directory / "best") as file:
                    file.write_text(path.name + "\n")
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            kept = self.steps()
            last = (
                f"the last good checkpoint is {self.directory / f'step-{kept[-1]:08d}'}"
                if kept
                else "none was written before"
            )
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise MsdaError(
                f"{path}: the checkpoint cannot be written ({reason}); {last}; free space, then run again"
            ) from None
        self._remove_old()
        return path

    def steps(self) -> list[int]:
        """Steps of the checkpoints there, ascending."""
        return checkpoint_files.steps(self.directory)

    def best(self) -> int | None:
        """Step of the best checkpoint, or None."""
        try:
            return int((self.directory / "best").read_text().strip()[5:])
        except (OSError, ValueError):
            return None

    def restore(self, objects: dict, *, step: int | None = None, partial: bool = False) -> tuple[int, dict] | None:
        """Restores the newest whole checkpoint, or that of `step`.

        A damaged one is reported and the one before it is used.

        Args:
          objects: as for `save`; with `partial`, a part of them.
          step: which checkpoint; the newest by default.
          partial: leave what the checkpoint holds beyond `objects`.

        Returns:
          (step, state), or None if the folder holds no checkpoint.

        Raises:
          MsdaError: all checkpoints (or the one asked for) are damaged, or they are of another network.
        """
        steps = self.steps() if step is None else [step]
        for candidate in reversed(steps):
            path = self.directory / f"step-{candidate:08d}"
            damage = checkpoint_files.damage(path)
            if damage is None:
                return self._read(path, objects, partial)
            logging.warning("%s: %s; trying the checkpoint before it", path, damage)
        if not steps:
            return None
        raise MsdaError(f"{self.directory}: no whole checkpoint (last tried: {damage}); start over with --restart")

    def _read(self, path, objects, partial):
        info = json.loads((path / INFO).read_text())
        try:
            status = tf.train.Checkpoint(**objects).read(str(path / "weights"))
            status.assert_existing_objects_matched()
            if partial:
                status.expect_partial()
            else:
                status.assert_consumed()
        except (AssertionError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise MsdaError(f"{path} is of another network than this configuration describes ({reason})") from None
        return info["step"], info["state"]

    def _remove_old(self):
        steps, best = self.steps(), self.best()
        for step in steps[: -self.keep]:
            if step != best:
                shutil.rmtree(self.directory / f"step-{step:08d}", ignore_errors=True)
