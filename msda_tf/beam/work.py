"""What a worker of a pipeline does with one task: it reads it, works, and leaves a file that says what came of it."""

import json
import os
import pathlib
import pickle
import socket

import apache_beam as beam

from msda_tf.beam import versions
from msda_tf.beam.folders import Here, There
from msda_tf.beam.spread import TASKS, outcome
from msda_tf.errors import MsdaError


class Work(beam.DoFn):
    """Does tasks, each known by (number, first byte, length) in the file of all tasks.

    Args:
      job: pickled; what `msda_tf.beam.spread.spread` was given.
      folder: with the file of tasks; outcomes go there.
      current: current folder of whoever started the work: paths may be relative.
      wanted: versions that whoever started the work has.
    """

    def __init__(self, job: bytes, folder: Here | There, current: str, wanted: dict[str, str]):
        self._pickled, self._folder, self._current, self._wanted = job, folder, current, wanted

    def setup(self) -> None:
        """Looks whether this worker can do the job at all."""
        host, here = socket.gethostname(), versions.installed()
        for name, version in self._wanted.items():
            if here.get(name) != version:
                raise MsdaError(
                    f"a worker on {host} has {name} {here.get(name, 'none')}, and {version} started the work: install "
                    "the same versions on all machines, or results would differ"
                )
        if isinstance(self._folder, Here):
            try:
                os.chdir(self._current)
            except OSError:
                raise MsdaError(_unseen(host, self._current)) from None
            if not self._folder.exists(TASKS):
                raise MsdaError(_unseen(host, self._folder.path.parent))
        # Before the job brings TensorFlow: workers on one machine share its GPU.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        self._job = pickle.loads(self._pickled)
        for folder in self._job.folders:
            if not folder.exists():
                raise MsdaError(_unseen(host, folder))

    def process(self, task: tuple[int, int, int]):
        """Yields nothing: what came of the task is in its file, whole or not at all."""
        number, start, length = task
        if not self._folder.exists(outcome(number)):  # it does if another worker did the task, too, or died after it
            task = json.loads(self._folder.read(TASKS, start, length))
            self._folder.write(outcome(number), json.dumps(self._job(task)).encode())
        return ()


def _unseen(host: str, folder: str | pathlib.Path) -> str:
    return f"a worker on {host} sees no {folder}: every worker must mount the same folders, at the same paths"
