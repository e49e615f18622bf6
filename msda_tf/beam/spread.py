"""Tasks spread over the workers of a Beam runner, and what came of each, as it comes.

The pipeline's elements are numbers. Tasks lie in one file in a folder that all workers see, and each leaves a file
there when it is done, written whole or not at all: so whatever a runner does twice is done once, and what a worker that
died has left is known. Where the runner itself gives up or hangs, the pipeline is started again over what is left.
"""

import contextlib
import itertools
import json
import os
import pathlib
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from msda_tf.beam import folders, versions
from msda_tf.beam.folders import Here, There
from msda_tf.beam.runner import Runner
from msda_tf.errors import MsdaError, UsageError

FOLDER = ".beam"
"""In the folder of results while workers write there; what is left of it after a failure holds the runner's log."""

TASKS = "tasks.jsonl"

# As often as Dataflow tries: then a task is to blame, not a worker.
_ATTEMPTS = 4

_OURS = re.compile(r"\b(MsdaError|UsageError): (.+?)(?: \[while running .*)?$", re.MULTILINE)

_NO_JAR = re.compile(r"Unable to fetch remote job server jar at (\S+?):? ")


class Job(Protocol):
    """What is to be done with every task. It is pickled: a dataclass of a module, not a function within one.

    Attributes:
      folders: files and folders that a worker must see to do it.
    """

    folders: tuple[pathlib.Path, ...]

    def __call__(self, task: dict) -> dict:
        """Does one task, JSON in and JSON out; done twice, also at the same time, it must leave what once leaves."""


def spread(job: Job, tasks: Sequence[dict], runner: Runner, directory: pathlib.Path) -> Iterator[tuple[int, dict]]:
    """Does tasks on a runner's workers.

    Args:
      job: what to do with each.
      tasks: what a worker needs to know of each, in JSON.
      runner: whose workers.
      directory: the folder of results, which all workers see; its `FOLDER` is used meanwhile.

    Yields:
      (number of the task, its outcome), in the order in which they are done.

    Raises:
      MsdaError: a worker failed with one, workers of other versions or without the folders, or workers died or failed
        four times and no task was done meanwhile.
    """
    if not tasks:
        return
    place = directory / FOLDER
    folder = folders.shared(place, runner.places)
    folder.make()
    place.mkdir(parents=True, exist_ok=True)
    pieces, log = _write_tasks(folder, tasks), place / "log.txt"
    if isinstance(folder, There):  # its shadow does not last
        log = pathlib.Path(tempfile.mkdtemp(prefix="msda-tf-log-")) / "log.txt"
    given = {"runner": runner.name, "flags": runner.flags, "job": pickle.dumps(job), "folder": folder}
    given |= {"current": os.getcwd(), "versions": versions.installed()}
    todo, failures = set(range(len(tasks))), 0
    while todo:
        given["tasks"] = [pieces[number] for number in sorted(todo)]
        before = len(todo)
        with _running(given, log) as process:
            ended = False
            while not ended:
                ended = process.poll() is not None  # before the last look, so that it misses nothing
                began = time.monotonic()
                found = _outcomes(folder, todo)
                for number, value in found:
                    todo.discard(number)
                    yield number, value
                if not (ended or found):
                    time.sleep(min(5, max(0.1, 5 * (time.monotonic() - began))))
        if todo:
            _fail_if_known(runner, log)
            failures = failures + 1 if len(todo) == before else 0
            if failures == _ATTEMPTS:
                raise MsdaError(
                    f"{runner.name} failed {_ATTEMPTS} times with {len(todo)} of {len(tasks)} tasks left: {_last(log)} "
                    f"(all of its words are in {log})"
                )
    folder.remove()
    shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(log.parent, ignore_errors=True)


def outcome(number: int) -> str:
    """Name of the file that says what came of a task."""
    return f"{number}.json"


def _write_tasks(folder: Here | There, tasks: Sequence[dict]) -> list[tuple[int, int, int]]:
    """Writes all tasks into one file; (number, first byte, length) of each."""
    lines = [json.dumps(task).encode() + b"\n" for task in tasks]
    folder.write(TASKS, b"".join(lines))
    starts = itertools.accumulate(map(len, lines), initial=0)
    return [(number, start, len(line)) for number, (start, line) in enumerate(zip(starts, lines, strict=False))]


def _outcomes(folder: Here | There, todo: set[int]) -> list[tuple[int, dict]]:
    """What came of tasks since the last look."""
    there = {int(name.removesuffix(".json")) for name in folder.names() if re.fullmatch(r"\d+\.json", name)}
    return [(number, json.loads(folder.read(outcome(number)))) for number in sorted(there & todo)]


@contextlib.contextmanager
def _running(given: dict, log: pathlib.Path) -> Iterator[subprocess.Popen]:
    """The process that runs a pipeline; afterwards it and the workers that it started are gone."""
    with open(log, "wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "msda_tf.beam.launch"],
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with contextlib.suppress(BrokenPipeError):  # its log says why
            process.stdin.write(pickle.dumps(given))
            process.stdin.flush()
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _fail_if_known(runner: Runner, log: pathlib.Path) -> None:
    """Raises what it makes no sense to try again: a worker ended with an error of ours, or a runner is not there."""
    words = log.read_text(encoding="utf-8", errors="replace")
    if found := _OURS.findall(words):
        kind, message = found[-1]
        raise (UsageError if kind == "UsageError" else MsdaError)(message.strip())
    if jar := _NO_JAR.search(words):
        option = f"{runner.name.removesuffix('Runner').lower()}_job_server_jar"
        raise UsageError(
            f"--runner {runner.name} needs Beam's job server, which cannot be fetched here: get {jar[1]} elsewhere, "
            f"and name the file with --beam-option {option}=FILE"
        )


def _last(log: pathlib.Path) -> str:
    """The last line of a log that names an error."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (errors or lines or ["it said nothing"])[-1][:300]
