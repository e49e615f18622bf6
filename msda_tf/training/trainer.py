"""The training loop: steps, progress, scalars, checkpoints, evaluations. It knows nothing of segmentation."""

import json
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from msda_tf.errors import MsdaError
from msda_tf.training import memory
from msda_tf.training.checkpoints import Checkpoints
from msda_tf.training.workers import Workers

LARGEST_LOSS = 1e4
"""A loss beyond this has exploded: at 20 a cross-entropy says that a network is sure, and wrong, everywhere."""


@dataclass(frozen=True)
class Evaluation:
    """What a task found out about itself during training.

    Attributes:
      scalars: by name.
      pictures: uint8 `[H, W, 3]` RGB, by name.
      score: what model selection maximises; None if the task has none.
    """

    scalars: dict[str, float]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    score: float | None = None


class Task(Protocol):
    """What the trainer trains."""

    name: str
    checkpointables: dict[str, Any]

    def batches(self, first_step: int) -> Iterator[Any]:
        """Batches first_step, first_step + 1, ...: the same whatever the first is."""

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """Runs one step and gives float32 scalars by name."""

    def learning_rates(self, step: int) -> dict[str, float]:
        """Learning rates at a step, by name."""

    def image_names(self, batch) -> list[str]:
        """Names of a batch's images, for error messages."""

    def images_per_step(self) -> int:
        """Number of images that a step consumes."""

    def evaluate(self) -> Evaluation:
        """Scores the present weights."""

    def headline(self, metrics: dict[str, float]) -> str:
        """A few figures for the progress line."""


@dataclass(frozen=True)
class Outcome:
    """How a task's training ended.

    Attributes:
      metrics: the last logged ones.
      headline: the task's few figures of them.
      seconds: spent in training, evaluations and earlier parts of an interrupted run included.
      images_per_second: over all of that time.
      best_score, best_step: the best evaluation and its step; None without evaluations.
    """

    metrics: dict[str, float]
    headline: str
    seconds: float
    images_per_second: float
    best_score: float | None
    best_step: int | None


class Interrupted(MsdaError):
    """Ctrl-C or SIGTERM: the run was saved and can go on."""

    exit_code = 130


@dataclass(frozen=True)
class Schedule:
    """When the trainer does what, in steps."""

    steps: int
    checkpoint_every: int
    keep_checkpoints: int
    evaluate_every: int
    log_every: int = 10


class Trainer:
    """Trains one task in one folder, going on where an earlier run stopped.

    Args:
      task: what to train.
      directory: receives `checkpoints/`, `metrics.jsonl` and TensorBoard's event files.
      schedule: see `Schedule`.
      on_progress: called with (step, steps, headline) as training goes on.
      resume_hint: the command that continues the run, for messages.
      workers: the processes that train together; the chief alone writes and evaluates.
    """

    def __init__(
        self,
        task: Task,
        directory: pathlib.Path,
        *,
        schedule: Schedule,
        on_progress: Callable[[int, int, str], None] = lambda step, steps, headline: None,
        resume_hint: str = "run the same command again",
        workers: Workers | None = None,
    ):
        self.task, self.directory, self.schedule = task, pathlib.Path(directory), schedule
        self.on_progress, self.resume_hint, self.workers = on_progress, resume_hint, workers or Workers()
        self.chief = self.workers.chief
        self.checkpoints = Checkpoints(self.directory / "checkpoints", keep=schedule.keep_checkpoints)
        self._signal: int | None = None
        self._best_score: float | None = None
        self._best_step: int | None = None
        self._seconds_before = 0.0
        self._began = time.perf_counter()

    def run(self) -> Outcome:
        """Trains to the last step; a finished run returns at once.

        Raises:
          Interrupted: after Ctrl-C or SIGTERM, with the state saved.
          MsdaError: a loss is not finite or beyond `LARGEST_LOSS`, or a checkpoint cannot be written.
        """
        step, metrics = self._resume()
        if step >= self.schedule.steps:
            return self._outcome(step, metrics, self._seconds_before)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._began = time.perf_counter()
        writer = tf.summary.create_file_writer(str(self.directory)) if self.chief else tf.summary.create_noop_writer()
        with _SignalCatcher(self), writer.as_default():
            metrics = self._loop(step)
        return self._outcome(self.schedule.steps, metrics, self._seconds())

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._began

    def _outcome(self, step, metrics, seconds) -> Outcome:
        return Outcome(
            metrics=metrics,
            headline=self.task.headline(metrics),
            seconds=seconds,
            images_per_second=step * self.task.images_per_step() / seconds if seconds else 0.0,
            best_score=self._best_score,
            best_step=self._best_step,
        )

    def _resume(self) -> tuple[int, dict]:
        found = self.workers.together(lambda: self.checkpoints.restore(self.task.checkpointables))
        step, state = found or (0, {"best_score": None, "metrics": {}})
        if len(steps := set(self.workers.gather(step))) > 1:
            raise MsdaError(
                f"{self.checkpoints.directory}: workers found checkpoints of different steps ({min(steps)}, "
                f"{max(steps)}): the run directory must lie on a file system that all of them share"
            )
        self._best_score, self._best_step = state["best_score"], state.get("best_step")
        self._seconds_before = state.get("seconds", 0.0)
        if self.chief:
            _truncate_log(self.directory / "metrics.jsonl", step)
        return step, state["metrics"]

    def _loop(self, step: int) -> dict[str, float]:
        schedule, task = self.schedule, self.task
        if step == 0 and schedule.evaluate_every and self.chief:
            self._evaluate(0)  # what an untrained network scores: where the curve starts
        batches = task.batches(step)
        pending: list[tuple[int, Any, dict]] = []
        metrics: dict[str, float] = {}
        waited, began, logged_at = 0.0, time.perf_counter(), step
        while step < schedule.steps:
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            result = task.train_step(batch)
            step += 1
            # A signal to one worker stops all of them, after the same step.
            self._signal = max(self.workers.gather(self._signal or 0)) or None
            pending.append((step, task.image_names(batch), result))
            last = step == schedule.steps
            evaluate = schedule.evaluate_every and (step % schedule.evaluate_every == 0 or last)
            save = step % schedule.checkpoint_every == 0 or last or self._signal is not None
            # Always before a checkpoint: a diverged network must not replace a good one.
            if step % schedule.log_every == 0 or evaluate or save:
                metrics = self._fetch(pending)
                pending.clear()
                seconds = time.perf_counter() - began
                metrics["images_per_second"] = (step - logged_at) * task.images_per_step() / seconds
                metrics["waiting_for_data"] = waited / seconds
                metrics |= task.learning_rates(step - 1) | memory.peak()
                self._log(step, metrics)
                self.on_progress(step, schedule.steps, task.headline(metrics))
                waited, began, logged_at = 0.0, time.perf_counter(), step
            better = bool(evaluate) and self.chief and self._is_best(step, self._evaluate(step).score)
            if save or better:
                self._save(step, metrics, best=better)
            if evaluate or save:
                began = time.perf_counter()
            if self._signal is not None and not last:
                # The chief saves, and leaves no earlier than the others, which would miss it for a minute.
                self.workers.gather(0)
                name = signal.Signals(self._signal).name
                raise Interrupted(
                    f"{name}: saved {task.name} at step {step} of {schedule.steps}; to continue, {self.resume_hint}"
                )
        return metrics

    def _fetch(self, pending) -> dict[str, float]:
        """Means over the steps since the last call; refuses what is not finite, or too large."""
        rows = []
        for step, names, result in pending:
            row = {name: float(value) for name, value in result.items()}
            for name, value in row.items():
                # A gradient that overflows in float16 is skipped by the loss scale and no accident. Written so that
                # NaN, which is not smaller than anything, fails too.
                if not abs(value) <= LARGEST_LOSS and not name.startswith("gradient_norm"):
                    raise MsdaError(self._diverged(step, name, value, names))
            rows.append(row)
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    def _diverged(self, step, name, value, names) -> str:
        kept = self.checkpoints.steps()
        last = self.checkpoints.directory / f"step-{kept[-1]:08d}" if kept else "none yet"
        return (
            f"{self.task.name}: loss {name} is {value} at step {step}, with images {', '.join(names)}; last good "
            f"checkpoint: {last}; lower the learning rates, or look at these images"
        )

    def _log(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            tf.summary.scalar(name, value, step=step)
        if self.chief:
            line = json.dumps({"step": step, **{name: _finite(value) for name, value in metrics.items()}})
            with open(self.directory / "metrics.jsonl", "a", encoding="utf-8") as file:
                file.write(line + "\n")

    def _evaluate(self, step: int) -> Evaluation:
        self.on_progress(step, self.schedule.steps, "evaluating")
        evaluation = self.task.evaluate()
        for name, picture in evaluation.pictures.items():
            tf.summary.image(name, picture[None], step=step)
        self._log(step, evaluation.scalars)
        return evaluation

    def _is_best(self, step: int, score: float | None) -> bool:
        if score is None or (self._best_score is not None and score <= self._best_score):
            return False
        self._best_score, self._best_step = score, step
        return True

    def _save(self, step, metrics, *, best):
        if self.chief:
            state = {
                "metrics": {k: _finite(v) for k, v in metrics.items()},
                "best_score": self._best_score,
                "best_step": self._best_step,
                "seconds": self._seconds(),
            }
            self.checkpoints.save(self.task.checkpointables, step=step, state=state, best=best)
            tf.summary.flush()

    def interrupt(self, number: int) -> None:
        """Asks the loop to save and stop after the present step."""
        self._signal = number
        logging.info("stopping after this step")


class _SignalCatcher:
    """Turns the first SIGINT or SIGTERM into `Trainer.interrupt`; a second one ends the process at once."""

    def __init__(self, trainer: Trainer):
        self._trainer = trainer

    def __enter__(self):
        try:
            self._old = {number: signal.signal(number, self._caught) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: signals are somebody else's business
            self._old = {}

    def __exit__(self, *_):
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _caught(self, number, frame):
        for caught, handler in self._old.items():
            signal.signal(caught, handler)
        self._trainer.interrupt(number)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _truncate_log(path: pathlib.Path, step: int) -> None:
    """Drops lines beyond `step`: they were logged after the checkpoint from which the run goes on."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError):
            continue  # the half line of a killed process
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
