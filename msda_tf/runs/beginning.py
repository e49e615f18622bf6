"""Beginning a run, going on with one, and starting over: what may be in the folder, and what must be there."""

import os
import pathlib
import shutil
from collections.abc import Iterable

from msda_tf import files
from msda_tf.config import TrainConfig
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import metrics
from msda_tf.runs import run
from msda_tf.runs.directory import RunDirectory
from msda_tf.runs.made_from import MadeFrom
from msda_tf.runs.run import Run
from msda_tf.training import checkpoint_files, progress
from msda_tf.training.folder import TrainingFolder


def begin(directory: pathlib.Path, config: TrainConfig, manifests: dict[str, Manifest], *, restart: bool) -> None:
    """Makes the folder a run, unless it is one already. The folder's lock must be held.

    Args:
      directory: exists.
      config, manifests: of the run.
      restart: throw away the run that is there, and what was made of it.

    Raises:
      UsageError: the folder holds something else.
    """
    paths = RunDirectory(directory)
    files.remove_left_overs(directory)
    if not run.exists(directory):
        if paths.others() or _trained(paths):
            raise UsageError(
                f"{directory} is not empty and holds no run: choose another folder with --run, or, if it was a run, "
                f"bring back {paths.info.name}"
            )
    elif restart:
        # run.json stays until another replaces it: a run that was killed here is one without its networks.
        remove([paths.cross_source, paths.estimate, paths.metrics, paths.pictures, paths.networks])
    else:
        return
    run.create(directory, config, manifests)


def _trained(paths: RunDirectory) -> bool:
    """Whether the networks' folders hold more than a run has before its run.json is written."""
    found = [path for path in paths.networks.rglob("*") if path.is_file()]
    folders = [TrainingFolder(path.parent) for path in found]
    return any(path != of.progress or progress.noted(of) for path, of in zip(found, folders, strict=True))


def remove(found: Iterable[pathlib.Path]) -> None:
    """Removes files and folders; a process that is killed on the way leaves each whole or not there."""
    for path in found:
        if path.is_dir() and not path.is_symlink():
            hidden = path.with_name(f".{path.name}.{os.getpid()}.part")
            os.replace(path, hidden)
            shutil.rmtree(hidden)
        else:
            path.unlink(missing_ok=True)


def check_there(found: Run) -> None:
    """Refuses to go on with a run whose networks' folders are gone, as on a disk that is not mounted.

    Raises:
      MsdaError: names the folder.
    """
    paths = found.paths
    if "config" in found.info:
        expected = [network.name for network in found.networks]  # all were made with the run, and a note in each
    elif paths.networks.is_dir():
        expected = _scored(paths)
    else:
        expected = [found.networks[0].name]
    for folder in map(paths.network, expected):
        empty = not folder.progress.exists() and not folder.log.exists()
        if empty and not checkpoint_files.folders(folder.checkpoints):
            raise MsdaError(
                f"{folder.path} is gone, with all that was trained: bring it back (is the disk mounted, the copy "
                "complete?), or start over with --restart"
            )


def _scored(paths: RunDirectory) -> list[str]:
    """Names of this run's networks that were evaluated once, and therefore trained."""
    try:
        made_from = MadeFrom.from_json(metrics.read_all(paths.metrics)[0].made_from)
    except MsdaError:
        return []
    own = f"{paths.path.resolve().name}/{paths.networks.name}/"
    return [each.network.removeprefix(own) for each in made_from.networks if each.network.startswith(own)]
