"""Jobs for workers of Beam, which are other processes and import this module by its name."""

import os
import pathlib
import signal
from dataclasses import dataclass

import pytest

from msda_tf.beam.runner import Runner
from msda_tf.beam.spread import Job, spread
from msda_tf.errors import MsdaError

ONE = Runner("DirectRunner")
"""One worker, in the process that runs the pipeline."""

TWO = Runner("DirectRunner", ("--direct_running_mode=multi_processing", "--direct_num_workers=2"))
"""Two processes."""


@pytest.fixture
def workers_find_this(monkeypatch):
    """Workers import what tests import."""
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent))


def die_once(flag: pathlib.Path) -> None:
    """Kills this process, as a kernel out of memory does, unless it did so before."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Double:
    """Doubles numbers and leaves a line for each; dies once at a certain one, or always at another."""

    directory: pathlib.Path
    folders: tuple[pathlib.Path, ...] = ()
    dies_once_at: int | None = None
    dies_at: int | None = None
    fails_at: int | None = None

    def __call__(self, task: dict) -> dict:
        value = task["value"]
        if value == self.dies_once_at:
            die_once(self.directory / "died")
        if value == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if value == self.fails_at:
            raise MsdaError(f"no number {value}: choose another")
        with open(self.directory / f"did-{value}", "a") as file:
            file.write(f"{os.getpid()}\n")
        return {"twice": 2 * value}


@dataclass(frozen=True)
class Deadly:
    """A job in whose hands the process dies, once: when the first file that it has written is to appear."""

    job: Job
    flag: pathlib.Path

    @property
    def folders(self) -> tuple[pathlib.Path, ...]:
        """Of the job."""
        return self.job.folders

    def __call__(self, task: dict) -> dict:
        if not self.flag.exists():
            os.replace = lambda *_: die_once(self.flag)
        return self.job(task)


def spread_deadly(flag: pathlib.Path):
    """`msda_tf.beam.spread.spread` of jobs in whose hands a process dies."""
    return lambda job, *arguments: spread(Deadly(job, flag), *arguments)


@dataclass(frozen=True)
class DeadlyLabels:
    """A reader of labels in whose hands the process dies, once."""

    reader: object
    flag: pathlib.Path

    def check(self, header):
        """As every reader's."""
        self.reader.check(header)

    def decode(self, data, *, max_pixels):
        """Dies at the third file, so that half of a shard is written."""
        count = self.flag.with_name("decoded")
        with open(count, "a") as file:
            file.write("x")
        if count.stat().st_size >= 3:
            die_once(self.flag)
        return self.reader.decode(data, max_pixels=max_pixels)
