"""A folder of checkpoints that are either whole or not there.

Each checkpoint is a folder `step-00001000/` with TensorFlow's checkpoint files and `checkpoint.json` (see
`msda_tf.training.checkpoint_files`). It is written under another name and renamed when complete, and removed by a
rename, too: whatever happens to the process, a folder of that name is a whole checkpoint.
"""

import contextlib
import os
import pathlib
import re
import shutil

import tensorflow as tf
from absl import logging

from msda_tf import files
from msda_tf.errors import MsdaError, reason
from msda_tf.training import checkpoint_files, checkpoint_graph, tf_path
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
        self,
        objects: dict[str, tf.train.Checkpoint],
        *,
        step: int,
        state: dict,
        best: int | None = None,
        unlabelled: int | None = None,
    ) -> pathlib.Path:
        """Writes a checkpoint, atomically, then removes those beyond `keep`.

        Args:
          objects: trackable objects by name.
          step: number of finished steps.
          state: JSON-ready values to get back on resume.
          best: step of the best checkpoint so far, which may be this one.
          unlabelled: step of the best one as far as can be told without labels, which may be this one, too.

        Raises:
          MsdaError: the disk is full or not writable; earlier checkpoints are untouched.
        """
        path = checkpoint_files.folder(self.directory, step)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            _remove(temporary)
            temporary.mkdir(parents=True)
            with tf_path.literal(temporary) as folder:
                tf.train.Checkpoint(**objects).write(str(checkpoint_files.weights(folder)))
            written = sorted(temporary.iterdir())
            for file in written:
                _flush(file)
            hashes = {file.name: files.sha256(file) for file in written}
            info = {"step": step, "files": hashes, "state": state, "best": best}
            if unlabelled is not None:
                info["unlabelled"] = unlabelled
            files.write_json(temporary / INFO, info)
            if path.exists():  # damaged, or training would have gone on from there
                _discard(path)
            os.replace(temporary, path)
        except (OSError, MsdaError, tf.errors.OpError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            kept = self.steps()
            last = (
                f"the last good checkpoint is {checkpoint_files.folder(self.directory, kept[-1])}"
                if kept
                else "none was written before"
            )
            cause = error.__cause__ if isinstance(error, MsdaError) else error
            raise MsdaError(f"{path}: the checkpoint cannot be written: {reason(cause or error)}; {last}") from None
        checkpoint_files.forget_old_best(self.directory)
        self.remove_old(step, best, unlabelled)
        # Those beyond it are damaged, for training would have gone on from them: they must not count as last ones.
        for later, damaged in checkpoint_files.folders(self.directory).items():
            if later > step:
                _discard(damaged)
        return path

    def steps(self) -> list[int]:
        """Steps of the checkpoints there, ascending."""
        return checkpoint_files.steps(self.directory)

    def best(self) -> int | None:
        """Step of the best checkpoint, or None."""
        return checkpoint_files.best(self.directory)

    def unlabelled(self) -> int | None:
        """Step of the checkpoint that was chosen without labels, or None."""
        return checkpoint_files.unlabelled(self.directory)

    def restore(
        self, objects: dict, *, step: int | None = None, left_over: re.Pattern | None = None
    ) -> tuple[int, dict] | None:
        """Restores the newest whole checkpoint, or that of `step`.

        A damaged one is reported and the one before it is used.

        Args:
          objects: as for `save`, or a part of them with `left_over`.
          step: which checkpoint; the newest by default.
          left_over: matches the paths, such as "segmenter/discriminator", of what the checkpoint may hold beyond
            `objects`; by default it must hold nothing else.

        Returns:
          (step, state), or None if the folder holds no checkpoint.

        Raises:
          MsdaError: all checkpoints (or the one asked for) are damaged, or they are of another network.
        """
        if step is not None:
            path = checkpoint_files.folder(self.directory, step)
            damage = checkpoint_files.damage(path)
            if damage:
                raise MsdaError(f"{path} cannot be used ({damage}): bring it back from a copy, or use another one")
            return self._read(path, objects, left_over)
        while found := checkpoint_files.folders(self.directory):
            for path in reversed(found.values()):
                damage = checkpoint_files.damage(path)
                if damage is None:
                    return self._read(path, objects, left_over)
                logging.warning("%s: %s; trying the checkpoint before it", path, damage)
            # One that training has removed and replaced meanwhile is no damage.
            if checkpoint_files.folders(self.directory).keys() == found.keys():
                raise MsdaError(
                    f"{self.directory}: no whole checkpoint (last tried: {damage}): bring one back from a copy, or "
                    "start over with --restart"
                )
        return None

    def _read(self, path, objects, left_over):
        info = checkpoint_files.read(path)
        try:
            with tf_path.literal(path) as folder:
                status = tf.train.Checkpoint(**objects).read(str(checkpoint_files.weights(folder)))
            status.assert_existing_objects_matched()
            if left_over is None:
                status.assert_consumed()
            else:
                status.expect_partial()
                more = checkpoint_graph.beyond(checkpoint_files.weights(path), objects, except_for=left_over)
                if more:
                    raise ValueError(f"it holds {more[0]}, which that has no place for, and {len(more) - 1} more")
        except (AssertionError, ValueError, tf.errors.InvalidArgumentError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise MsdaError(
                f"{path} is of another network than this configuration describes ({reason}): was config.yaml edited?"
            ) from None
        except tf.errors.OpError as error:
            raise MsdaError(f"{path} cannot be read ({error.message.splitlines()[0][:120]})") from None
        return info.step, info.state

    def remove_old(self, newest: int, *chosen: int | None) -> None:
        """Removes all up to `newest` but the last ones and those that were chosen."""
        found = checkpoint_files.folders(self.directory)
        past = [step for step in found if step <= newest]
        for step in past[: -self.keep]:
            if step not in chosen:
                _discard(found[step])


def _discard(path: pathlib.Path) -> None:
    """Removes a checkpoint; a process that is killed on the way leaves all of it, or nothing that counts as one."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}.old.part")
    with contextlib.suppress(OSError):
        _remove(hidden)
        os.replace(path, hidden)
        _remove(hidden)


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush(path: pathlib.Path) -> None:
    """To disk: after a power cut, what was renamed into place must be whole, for the one before it may be gone."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
