"""Weights of this project's own runs."""

import pathlib

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from msda_tf import runs
from msda_tf.errors import MsdaError, UsageError
from msda_tf.training import checkpoint_files, checkpoint_graph, tf_path
from msda_tf.training.folder import TrainingFolder
from msda_tf.weights.conversion import Candidate, Conversion

_NETWORKS = ("teacher", "segmenter")
"""Under which names training saves networks: a teacher, where there is one, is what the run serves."""


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
        folder = run.folder(network).checkpoints
        step = (run.config.select == "best" and checkpoint_files.best(folder)) or _last(folder)
        if step is None:
            raise UsageError(f"{path}: network {network.name} has no checkpoint yet")
        return checkpoint_files.weights(checkpoint_files.folder(folder, step))
    for folder in (TrainingFolder(path).checkpoints, path):
        if folder.is_dir() and (step := _last(folder)) is not None:
            return checkpoint_files.weights(checkpoint_files.folder(folder, step))
    for prefix in (checkpoint_files.weights(path), path.with_suffix("") if path.suffix == ".index" else path):
        if pathlib.Path(f"{prefix}.index").is_file():
            return prefix
    return None


def known_by(prefix: pathlib.Path) -> pathlib.Path:
    """The file whose checksum names a checkpoint: checkpoint.json, or the index of a bare one."""
    info = prefix.parent / checkpoint_files.INFO
    return info if info.is_file() else prefix.with_name(f"{prefix.name}.index")


def convert(prefix: pathlib.Path) -> Conversion:
    """Reads a checkpoint of a `MultiSourceSegmenter`; every variable keeps its name.

    Raises:
      UsageError: it is a checkpoint of something else.
      MsdaError: it is damaged.
    """
    conversion = Conversion("checkpoint of this project")
    try:
        with tf_path.literal(prefix.parent) as folder:
            reader = tf.train.load_checkpoint(str(folder / prefix.name))
            there = ((name, checkpoint_graph.keys(prefix, name)) for name in _NETWORKS)
            name, keys = next((each for each in there if each[1]), ("", {}))
            for path, key in sorted(keys.items()):
                value = np.asarray(reader.get_tensor(key))
                conversion.candidates[_variable(path)] = Candidate(value, f"{name}/{path}", "copied")
    except (tf.errors.OpError, DecodeError, RuntimeError, ValueError, LookupError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise MsdaError(f"{prefix} is damaged ({reason}): use another checkpoint") from None
    if not conversion.candidates:
        raise UsageError(f"{prefix} is a checkpoint, but not of this project's networks")
    return conversion


def _last(folder: pathlib.Path) -> int | None:
    return (checkpoint_files.steps(folder) or [None])[-1]


def _variable(path: str) -> str:
    """A path in the checkpoint to the variable's: some modules, classifiers and kernels have others there."""
    module, *rest = path.split("/")
    rest[-1] = rest[-1].removeprefix("_")
    if module.endswith("_module"):
        module = module.removesuffix("_module")
        rest[0] = rest[0].removeprefix("classifier_")
    return "/".join([module, *rest])
