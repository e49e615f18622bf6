"""What a worker of a pipeline does with one task: it reads it, works, and leaves a file that says what came of it."""

import os
import pathlib
import pickle
import socket

import apache_beam as beam

from msda_tf import files
from msda_tf.beam import versions
from msda_tf.beam.spread import TASKS, outcome_path, parse
from msda_tf.errors import MsdaError


class Work(beam.DoFn):
    """Does tasks, each known by (number, first byte, length) in the file of all tasks.

    Args:
      job: pickled; what `msda_tf.beam.spread.spread` was given.
      place: folder with the file of tasks, where outcomes go.
      current: current folder of whoever started the work: paths may be relative.
      wanted: versions that whoever started the work has.
    """

    def __init__(self, job: bytes, place: pathlib.Path, current: str, wanted: dict[str, str]):
        self._pickled, self._place, self._current, self._wanted = job, place, current, wanted

    def setup(self) -> None:
        """Looks whether this worker can do the job at all."""
        host, here = socket.gethostname(), versions.installed()
        for name, version in self._wanted.items():
            if here.get(name) != version:
                raise MsdaError(
                    f"a worker on {host} has {name} {here.get(name, 'none')}, and {version} started the work: install "
                    "the same versions on all machines, or results would differ"
                )
        try:
            os.chdir(self._current)
        except OSError:
            raise MsdaError(_unseen(host, self._current)) from None
        if not (self._place / TASKS).is_file():
            raise MsdaError(_unseen(host, self._place.parent))
        # Before the job brings TensorFlow: workers on one machine share its GPU.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        self._job = pickle.loads(self._pickled)
        for folder in self._job.folders:
            if not folder.exists():
                raise MsdaError(_unseen(host, folder))

    def process(self, task: tuple[int, int, int]):
        """Yields nothing: what came of the task is in its file, whole or not at all."""
        number, start, length = task
        path = outcome_path(self._place, number)
        if not path.exists():  # it does if another worker did the task, too, or died after it
            with open(self._place / TASKS, "rb") as file:
                file.seek(start)
                content = file.read(length)
            files.write_json(path, self._job(parse(content)))
        return ()


def _unseen(host: str, folder: str | pathlib.Path) -> str:
    return f"a worker on {host} sees no {folder}: every worker must mount the same folders, at the same paths"
