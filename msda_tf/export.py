"""Writes a SavedModel that TensorFlow Serving (or any program with TensorFlow) runs without this project."""

import os
import pathlib
import shutil
from collections.abc import Sequence

import tensorflow as tf

from msda_tf import trained
from msda_tf.errors import MsdaError, UsageError
from msda_tf.inference import Inference


class ServedModel(tf.Module):
    """The merged networks as a graph: resizing, mean and merge inside."""

    def __init__(self, inference: Inference):
        super().__init__()
        self._inference = inference
        function = self.segment.get_concrete_function()
        # The graph's own variables are all it needs: not Keras' objects, nor branches that take no part.
        self._used = list(function.graph.variables)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")], autograph=False)
    def segment(self, images):
        """uint8 RGB `[B, H, W, 3]` of any size to `label_map`: trainIds uint8 `[B, H, W]`."""
        return {"label_map": self._inference.segment(images)}


def export(
    directories: Sequence[str | pathlib.Path],
    output: str | pathlib.Path,
    *,
    merge: str | None = None,
    select: str | None = None,
    branches: Sequence[str] | None = None,
) -> pathlib.Path:
    """Writes the next version of a model: `output/1`, or one more than the highest number there.

    The version appears whole or not at all: it is written under a name that servers ignore, then renamed.

    Args:
      directories: run directories, merged.
      output: the model's folder (a server's base path).
      merge: one of `msda_tf.evaluation.merge.RULES`; the runs' own by default.
      select: "last" or "best" checkpoint; each run's own choice by default.
      branches: shown names of the branches to merge; all that were adapted by default.

    Returns:
      the version's folder.

    Raises:
      UsageError: see `trained.load`; or `output` is a file.
      MsdaError: a run is damaged, or the model cannot be written.
    """
    output = pathlib.Path(output)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: name a folder with --output")
    networks = trained.load(directories, merge=merge, select=select, branches=branches, only_merged=True)
    output.mkdir(parents=True, exist_ok=True)
    model = ServedModel(networks.inference)
    temporary = output / f".export.{os.getpid()}.part"
    try:
        tf.saved_model.save(model, str(temporary), signatures={"serving_default": model.segment})
        return _publish(temporary, output)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise MsdaError(f"{output}: the model cannot be written ({reason}); nothing was left there") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """Renames a whole version to the next free number."""
    while True:
        taken = [int(path.name) for path in output.iterdir() if path.name.isdecimal()]
        version = output / str(max(taken, default=0) + 1)
        try:
            temporary.rename(version)
            return version
        except OSError:
            # Another export was faster: a folder cannot be renamed onto one that holds files.
            if not version.exists():
                raise
