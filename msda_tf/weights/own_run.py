"""Weights of this project's own runs."""

import pathlib
import re

import numpy as np
import tensorflow as tf

from msda_tf import runs
from msda_tf.errors import MsdaError, UsageError
from msda_tf.training.checkpoints import Checkpoints
from msda_tf.weights.conversion import Candidate, Conversion

_VARIABLE = re.compile(r"(segmenter/(.+))/\.ATTRIBUTES/VARIABLE_VALUE")


def find(path: pathlib.Path, branches: tuple[str, ...]) -> pathlib.Path | None:
    """TensorFlow's name of a checkpoint (its files' common start), or None if `path` holds none.

    Args:
      path: a run, a folder inside it (a network's, its checkpoints or one of them), or the checkpoint's own name.
      branches: of the network to be started: a run of several networks gives the one that shares most of them.

    Raises:
      UsageError: a run without checkpoints.
    """
    if runs.exists(path):
        run = runs.read(path)
        network = max(run.networks, key=lambda network: len(set(network.branches) & set(branches)))
        folder = Checkpoints(run.network_directory(network) / "checkpoints")
        step = (run.config.select == "best" and folder.best()) or (folder.steps() or [None])[-1]
        if step is None:
            raise UsageError(f"{path}: network {network.name} has no checkpoint yet")
        return folder.directory / f"step-{step:08d}" / "weights"
    for folder in (path / "checkpoints", path):
        steps = Checkpoints(folder).steps()
        if steps:
            return folder / f"step-{steps[-1]:08d}" / "weights"
    for prefix in (path / "weights", path.with_suffix("") if path.suffix == ".index" else path):
        if pathlib.Path(f"{prefix}.index").is_file():
            return prefix
    return None


def convert(prefix: pathlib.Path) -> Conversion:
    """Reads a checkpoint of a `MultiSourceSegmenter`; every variable keeps its name.

    Raises:
      UsageError: it is a checkpoint of something else.
      MsdaError: it is damaged.
    """
    conversion = Conversion("checkpoint of this project")
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for key in sorted(reader.get_variable_to_shape_map()):
            match = _VARIABLE.fullmatch(key)
            if match:
                value = np.asarray(reader.get_tensor(key))
                conversion.candidates[_variable(match[2])] = Candidate(value, match[1], "copied")
    except (tf.errors.OpError, RuntimeError, ValueError, LookupError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise MsdaError(f"{prefix} is damaged ({reason}): use another checkpoint") from None
    if not conversion.candidates:
        raise UsageError(f"{prefix} is a checkpoint, but not of this project's networks")
    return conversion


def _variable(path: str) -> str:
    """A path in the checkpoint to the variable's: modules and classifiers have other names as attributes."""
    module, *rest = path.split("/")
    if module.endswith("_module"):
        module = module.removesuffix("_module")
        rest[0] = rest[0].removeprefix("classifier_")
    return "/".join([module, *rest])
