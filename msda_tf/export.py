"""Writes a SavedModel that TensorFlow Serving (or any program with TensorFlow) runs without this project."""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Sequence

import tensorflow as tf

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError, reason
from msda_tf.evaluation import palettes
from msda_tf.runs import trained
from msda_tf.runs.trained import Trained
from msda_tf.serving import compress, convert, metadata, warmup
from msda_tf.serving.model import Served, ServedModel
from msda_tf.serving.versions import versions
from msda_tf.training import tf_path

EXTRA = "assets.extra"
"""The folder of a SavedModel that TensorFlow passes over, save for the warm-up requests."""


def export(
    directories: Sequence[str | pathlib.Path],
    output: str | pathlib.Path,
    *,
    merge: str | None = None,
    select: str | None = None,
    serve: str | None = None,
    branches: Sequence[str] | None = None,
    mean_of: str | None = None,
    palette: str = palettes.OWN,
    precision: str | None = None,
    window: tuple[int, int] | None = None,
    scale: float | None = None,
    served: Served | None = None,
    fold: bool = False,
    store: str = "float32",
    kind: str = "savedmodel",
) -> pathlib.Path:
    """Writes the next version of a model: `output/1`, or one more than the highest number there.

    The version appears whole or not at all: it is written under a name that servers ignore, then renamed.

    Args:
      directories: run directories, merged.
      output: the model's folder (a server's base path).
      merge: one of `msda_tf.inference.merge.RULES`; the runs' own by default.
      select: "last" or "best" checkpoint; each run's own choice by default.
      serve: "teacher" or "student", for runs that have both; each run's own choice by default.
      branches: shown names of the branches to merge; all that were adapted by default.
      mean_of: of several targets that differ in their mean, the one whose mean is subtracted.
      palette: whose colours its `color_map` and its metadata have, one of `msda_tf.evaluation.palettes.PALETTES`.
      precision: arithmetic of the networks instead of the one they were trained in.
      window: (height, width) of overlapping windows of the networks' input in which images pass; each run's own by
        default.
      scale: size of the networks' input against the image, instead of the one they were trained at.
      served: what the model takes and gives.
      fold: fold BatchNorm into the convolutions before it.
      store: type in which kernels are kept, "float32" or "bfloat16".
      kind: "savedmodel", or one of `convert.FILE_NAMES`: then the version is one file and its metadata.

    Returns:
      the version's folder.

    Raises:
      UsageError: see `trained.load`; or `output` is a file or a path that TensorFlow cannot read from; or the options
        do not fit the networks or each other.
      MsdaError: a run is damaged, or the model cannot be written.
    """
    output, served = pathlib.Path(output), served or Served()
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: name a folder with --output")
    if kind == "savedmodel" and not tf_path.is_literal(output.absolute()):
        raise UsageError(
            f"{output.absolute()}: TensorFlow cannot read a model whose path holds [ ] * ? or \\, or is no UTF-8: name "
            "another folder with --output, or rename that one"
        )
    networks = trained.load(
        directories, merge=merge, select=select, serve=serve, branches=branches, only_merged=True, precision=precision
    )
    networks = networks.centred(mean_of).in_windows(window).in_colours(palette)
    if scale is not None:
        rescaled = networks.inference.with_members(scale=scale, size=None)
        networks = dataclasses.replace(networks, inference=rescaled)
    if kind != "savedmodel":
        convert.check(kind, networks.inference, served, store=store)
    if fold:
        for member in networks.inference.members:
            compress.fold_batch_norm(member.segmenter)
    output.mkdir(parents=True, exist_ok=True)
    temporary = output / f".export.{os.getpid()}.part"
    try:
        write_version(networks, served, temporary, store=store, kind=kind, mean_of=mean_of)
        return _publish(temporary, output)
    except (OSError, tf.errors.OpError) as error:
        raise MsdaError(f"{output}: the model cannot be written: {reason(error)}; no version was added") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_version(
    networks: Trained, served: Served, folder: pathlib.Path, *, store: str, kind: str, mean_of: str | None = None
) -> None:
    """Writes all files of one version into a new folder, down to the disk; `export` then gives it its number."""
    model = ServedModel(networks.inference, networks.classes, served, store=store)
    target = networks.runs[0].info["datasets"][mean_of or networks.targets[0]]
    size = served.size or (target["height"], target["width"])
    if kind == "savedmodel":
        tf.saved_model.save(model.root, str(folder), signatures=model.signatures)
        extra = folder / EXTRA
        extra.mkdir()
        (extra / warmup.FILE_NAME).write_bytes(warmup.requests(size))
    else:
        extra = folder
        extra.mkdir()
        convert.write(kind, model, folder / convert.FILE_NAMES[kind], size)
    files.write_json(extra / metadata.FILE_NAME, metadata.describe(networks, served, mean_of=mean_of))
    # After a power cut, a version that is there must be whole.
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())


def _publish(temporary: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """Renames a whole version to the next free number."""
    while True:
        version = output / str(max(versions(output), default=0) + 1)
        try:
            temporary.rename(version)
            return version
        except OSError:
            # Another export was faster: a folder cannot be renamed onto one that holds files.
            if not version.exists():
                raise
