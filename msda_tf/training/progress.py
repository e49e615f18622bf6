"""How far training has ever come, by a note outside the folder of checkpoints.

If checkpoints are gone, as on a disk that is half copied or not mounted, the note tells that there was more: nothing is
started from scratch, or from an older checkpoint, without a word. Without TensorFlow.
"""

from absl import logging

from msda_tf import files, state_file
from msda_tf.errors import MsdaError
from msda_tf.state_file import Damaged
from msda_tf.training import checkpoint_files, log
from msda_tf.training.folder import TrainingFolder


def note(folder: TrainingFolder, step: int) -> None:
    """Writes down that a checkpoint of this step is there; 0: that training begins."""
    files.write_json(folder.progress, {"saved": step})


def noted(folder: TrainingFolder) -> int | None:
    """The step of the newest checkpoint ever written; None in a folder of earlier versions, or before the first step.

    Raises:
      MsdaError: the note is damaged.
    """
    try:
        return state_file.whole(state_file.load(folder.progress), "saved", largest=checkpoint_files.LAST_STEP)
    except FileNotFoundError:
        return None
    except Damaged as error:
        raise MsdaError(
            f"{folder.progress} is damaged ({error}): remove it; training goes on from the checkpoints that are there"
        ) from None


def check(folder: TrainingFolder, *, restored: int | None, steps: int, checkpoint_every: int) -> None:
    """Refuses to start from scratch where there was more, and says so where an older checkpoint is all there is.

    Args:
      folder: of the network.
      restored: step of the checkpoint that was restored; None if there was none.
      steps: of the whole training.
      checkpoint_every: steps between checkpoints.

    Raises:
      MsdaError: nothing was restored although training had come further; or the checkpoint is beyond `steps`.
    """
    saved = noted(folder)
    if restored is None:
        reason = _lost(folder, saved, steps=steps, checkpoint_every=checkpoint_every)
        if reason:
            raise MsdaError(
                f"{folder.checkpoints} holds no checkpoint, but {reason}: bring the checkpoints back (is the disk "
                "mounted, the copy complete?), or start over with --restart"
            )
    elif restored > steps:
        raise MsdaError(
            f"{checkpoint_files.folder(folder.checkpoints, restored)} is beyond the {steps} steps of this run: it is "
            "of another one; take it away"
        )
    elif saved is not None and saved > restored:
        logging.warning(
            "%s: the checkpoint of step %d is gone; going on from step %d", folder.checkpoints, saved, restored
        )


def _lost(folder: TrainingFolder, saved: int | None, *, steps: int, checkpoint_every: int) -> str | None:
    """What tells that there was a checkpoint, or None."""
    if saved is not None:
        return f"one of step {saved} was written" if saved else None
    # Without the note, which is made before the first step: the line of a step is written just before its checkpoint,
    # so that one which should be there is taken to have been there.
    last, first = max((row.step for row in log.read(folder.log)), default=0), min(checkpoint_every, steps)
    return f"{folder.log} reaches step {last}, and one was due at step {first}" if last >= first else None
