"""Runs the jobs of a table one after the other, and goes on where one fails."""

import contextlib
import gc
import pathlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msda_tf import runs
from msda_tf.config.branches import images_per_step, plan
from msda_tf.errors import MsdaError, summary
from msda_tf.experiment import jobs, oracle
from msda_tf.experiment.jobs import Job


@dataclass(frozen=True)
class Progress:
    """Where the whole stands when a job begins.

    Attributes:
      number: of the job, from 1.
      count: of all jobs, finished ones included.
      seconds_left: estimate for this job and all behind it; None before anything was timed.
      outdated: what the job's scores were of, if they do not count any more; None otherwise.
    """

    number: int
    count: int
    seconds_left: float | None
    outdated: str | None = None


def prepare(found: Sequence[Job], data: pathlib.Path) -> None:
    """Makes the data sets of oracles, and sees to it that nothing but training can fail.

    Args:
      found: of `jobs.plan`.
      data: the folder of prepared data sets.

    Raises:
      UsageError: data is missing or unfit, or a run was begun with other settings or data.
    """
    from msda_tf import train

    for target, folder in {job.target: job.config.data for job in found if job.kind == "oracle"}.items():
        oracle.link(data, target, pathlib.Path(folder))
    for job in found:
        manifests = train.load_manifests(job.config)
        if runs.exists(job.directory):
            runs.check_same(runs.read(job.directory), job.config, manifests)


def run(
    found: Sequence[Job],
    *,
    on_job: Callable[[Job, Progress], contextlib.AbstractContextManager],
    on_failure: Callable[[Job, str], None],
) -> None:
    """Trains and scores what is not finished.

    Args:
      found: of `jobs.plan`.
      on_job: opens what shows a job's progress; it yields (keyword arguments of `msda_tf.train.train`, keyword
        arguments of `msda_tf.evaluate.evaluate`).
      on_failure: told of a job that failed, and why; the others go on.

    Raises:
      Interrupted: after Ctrl-C or SIGTERM; the run was saved.
    """
    from msda_tf.training.trainer import Interrupted

    clock = _Clock()
    for number, job in enumerate(found, 1):
        before = jobs.state(job)
        if before.finished:
            continue
        began = time.monotonic()
        progress = Progress(number, len(found), clock.seconds_left(found[number - 1 :]), before.outdated)
        try:
            with on_job(job, progress) as (train_arguments, evaluate_arguments):
                _run(job, train_arguments, evaluate_arguments)
        except Interrupted as error:
            kept = str(error).split(";")[0]
            raise Interrupted(f"{job.name}: {kept}; start the same command again to go on") from None
        except MsdaError as error:
            on_failure(job, str(error))
        except Exception as error:  # whatever it is, the other runs can do without this one
            on_failure(job, _unexpected(job, error))
        else:
            _error_file(job).unlink(missing_ok=True)
            clock.add(job, before.steps, time.monotonic() - began)


def _run(job: Job, train_arguments: dict, evaluate_arguments: dict) -> None:
    import keras

    from msda_tf import estimate, evaluate, train

    try:
        train.train(job.config, job.directory, **train_arguments)
        score = estimate.estimate if job.estimated else evaluate.evaluate
        score(
            [job.directory, *job.scored_with],
            data=job.config.data,
            merge=job.config.merge,
            select=job.config.select,
            output=job.scores_path,
            **evaluate_arguments,
        )
    finally:
        # Or the graphs and variables of every run would stay until the last.
        keras.backend.clear_session()
        gc.collect()


def _error_file(job: Job) -> pathlib.Path:
    # Beside the run's folder: training refuses one with foreign files.
    return job.directory.with_name(f"{job.directory.name}-error.txt")


def _unexpected(job: Job, error: Exception) -> str:
    """A line about an error that nobody foresaw; its traceback goes to a file."""
    path = _error_file(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return f"{summary(error)} (traceback: {path})"


class _Clock:
    """Estimates how long jobs take, from those that it was told of."""

    def __init__(self):
        self._images = self._seconds = 0.0

    def add(self, job: Job, steps_before: int, seconds: float) -> None:
        """A job took so long, from a step on."""
        self._images += _images(job, steps_before)
        self._seconds += seconds

    def seconds_left(self, found: Sequence[Job]) -> float | None:
        """Of these jobs."""
        if not self._images:
            return None
        return self._seconds / self._images * sum(_images(job, jobs.state(job).steps) for job in found)


def _images(job: Job, steps_before: int) -> float:
    """Images that a job's networks still pass, in full-size ones: what its time is proportional to."""
    config = job.config
    networks = plan(config)
    each = sum(config.steps * images_per_step(config, network) / config.batch_size for network in networks)
    share = 1 - steps_before / (config.steps * len(networks))
    return config.batch_size * config.scale**2 * each * share
