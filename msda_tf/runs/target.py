"""The data set to score runs on: found where the runs had it, and known to be theirs.

A run keeps the folder of its data as it was given, which may be relative, and where that was. Results are only those of
the run's own data if dataset.json, which holds the checksum of every shard, is the one that the run has noted.
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

from msda_tf.data import manifest as manifests
from msda_tf.data.manifest import FILE_NAME, Manifest
from msda_tf.errors import UsageError
from msda_tf.labels import ClassList
from msda_tf.remote import cache
from msda_tf.runs import datasets
from msda_tf.runs.made_from import ScoredData
from msda_tf.runs.run import Run


@dataclass(frozen=True)
class Target:
    """The data set to score on.

    Attributes:
      manifest: of it.
      checksum: SHA-256 of its dataset.json.
      as_trained: whether it is what every run was adapted to.
    """

    manifest: Manifest
    checksum: str
    as_trained: bool

    def described(self) -> ScoredData:
        """As results name it."""
        folder = cache.shown(self.manifest.directory.absolute())
        return ScoredData(self.manifest.name, folder, self.checksum, self.as_trained)

    def check_classes(self, classes: ClassList) -> None:
        """Raises UsageError if its classes are not those of the networks that it is to be shown to."""
        if self.manifest.classes.names != classes.names:
            raise UsageError(
                f"data set {self.manifest.name!r} has {len(self.manifest.classes)} classes and the run {len(classes)}, "
                "or they are named differently: evaluate on the data that the run was trained for (--data)"
            )

    def notes(self) -> list[str]:
        """What whoever sees the scores must know of it."""
        other = "scored on data that is not what the networks were adapted to"
        return [] if self.as_trained else [f"{other}: {cache.shown(self.manifest.directory)}"]


def find(runs: Sequence[Run], data: str | pathlib.Path | None = None, *, name: str | None = None) -> Target:
    """A target of runs, in the first run's own folder of data sets or in another.

    Args:
      runs: for the same targets.
      data: another folder of prepared data sets: then the target may be another than the runs were adapted to.
      name: one of the targets, or a condition of one ("acdc:night" of "acdc"); needless if there is one.

    Raises:
      UsageError: it is not there; or, without `data`, it is not what the runs were adapted to.
    """
    name = name or runs[0].config.target
    noted_as = adapted_to(runs[0], name)  # another name is a mistake, not a data set that is missing
    manifest = _own(runs[0], name) if data is None else manifests.find(data, name)
    now = datasets.checksum(manifest)
    other = [run for run in runs if run.dataset(noted_as)["dataset.json"] != now]
    if other and data is None:
        raise UsageError(
            f"{manifest.directory} is not the data set that {other[0].directory} was adapted to: its {FILE_NAME} is "
            "another one (prepared anew, or other images); to score on it all the same, name its folder with --data "
            f"{manifest.directory.parent}"
        )
    return Target(manifest, now, as_trained=not other)


def adapted_to(run: Run, name: str) -> str:
    """The target of a run that a name is of: the same, or the one that it is a condition of.

    Raises:
      UsageError: there is none.
    """
    for target in run.config.targets:
        if target == name or (":" not in target and target == name.partition(":")[0]):
            return target
    raise UsageError(
        f"--target {name}: {run.directory} was adapted to {', '.join(run.config.targets)}; name one of these, or a "
        "condition of one, such as acdc:night of acdc"
    )


def _own(run: Run, name: str) -> Manifest:
    """The data set where the run had it; if it is not there, where that path leads to from here."""
    folders = datasets.folders(run.config.data, run.data)
    found = datasets.holding(name, folders)
    if found is not None or len(folders) == 1:
        return manifests.find(found or folders[0], name)
    noted, given = folders
    raise UsageError(
        f"data set {name!r} of {run.directory} is neither in {noted}, where it was, nor in {given} under this folder: "
        "name the folder that holds it with --data"
    )
