"""Every path inside a run directory. Nobody else puts one together.

RUN/config.yaml                 every knob as it was used
RUN/run.json                    networks, classes, data sets, settings, versions, command line
RUN/networks/NAME/              what training leaves of a network: see `msda_tf.training.folder`
RUN/cross_source.json           every branch on the sources' held-out images: see `msda_tf.runs.cross_source`
RUN/estimate.json               the last estimate without labels
RUN/metrics.json                the last evaluation
RUN/pictures/                   its panels
RUN/tensorflow.log              what TensorFlow printed when commands loaded it
RUN/.lock                       while a process writes here: see `msda_tf.lock`
"""

import os
import pathlib
from dataclasses import dataclass

from msda_tf import files, lock
from msda_tf.training.folder import TrainingFolder


@dataclass(frozen=True)
class RunDirectory:
    """A run directory, whether it is there or not.

    Attributes:
      path: the folder.
    """

    path: pathlib.Path

    @property
    def config(self) -> pathlib.Path:
        """Every knob as it was used."""
        return self.path / "config.yaml"

    @property
    def info(self) -> pathlib.Path:
        """run.json: a folder that has one is a run."""
        return self.path / "run.json"

    @property
    def networks(self) -> pathlib.Path:
        """The folder of all networks' folders."""
        return self.path / "networks"

    def network(self, name: str) -> TrainingFolder:
        """What training leaves of one network."""
        return TrainingFolder(self.networks / name)

    @property
    def cross_source(self) -> pathlib.Path:
        """Every branch on the sources' held-out images: see `msda_tf.runs.cross_source`."""
        return self.path / "cross_source.json"

    @property
    def estimate(self) -> pathlib.Path:
        """The last estimate without labels: see `msda_tf.estimate`."""
        return self.path / "estimate.json"

    @property
    def metrics(self) -> pathlib.Path:
        """The last evaluation: see `msda_tf.evaluation.metrics`."""
        return self.path / "metrics.json"

    @property
    def pictures(self) -> pathlib.Path:
        """The folder of the last evaluation's panels."""
        return self.path / "pictures"

    @property
    def log(self) -> pathlib.Path:
        """What TensorFlow printed when commands loaded it."""
        return self.path / "tensorflow.log"

    def others(self) -> list[pathlib.Path]:
        """What is in the folder and is none of these, nor anything that a killed process left."""
        own = {self.config, self.info, self.networks, self.log}
        own |= {self.cross_source, self.estimate, self.metrics, self.pictures}
        return [
            path
            for path in sorted(self.path.iterdir())
            if path not in own and not path.name.startswith(lock.FILE_NAME) and not files.is_left_over(path)
        ]


def find(folder: pathlib.Path) -> list[RunDirectory]:
    """The run directories in a folder and its sub-folders, by name; the folder may be one itself.

    Links are followed, once for each folder that they lead to, and after those that are really there. Among the runs
    are links that lead nowhere and folders that cannot be looked into: there may be a run.
    """
    found, seen, waiting, links = [], set(), [folder], []
    while waiting or links:
        place = waiting.pop() if waiting else links.pop(0)
        try:
            status = os.stat(place)
            inside = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            if place.is_symlink() or not isinstance(error, FileNotFoundError):  # or removed this moment
                found.append(RunDirectory(place))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        if RunDirectory(place).info.name in [entry.name for entry in inside]:
            found.append(RunDirectory(place))  # in which no others are
            continue
        for entry in inside:
            path = place / entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_symlink() and (path.is_dir() or not path.exists()):
                links.append(path)
    return sorted(found, key=lambda run: run.path)
