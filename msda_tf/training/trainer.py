"""The training loop: steps, progress, scalars, checkpoints, evaluations. It knows nothing of segmentation."""

import contextlib
import dataclasses
import math
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from msda_tf import files, state_file
from msda_tf.errors import MsdaError
from msda_tf.state_file import Damaged
from msda_tf.training import checkpoint_files, log, memory, pace, progress, tf_path
from msda_tf.training.checkpoints import Checkpoints
from msda_tf.training.folder import TrainingFolder
from msda_tf.training.workers import Workers

LARGEST_LOSS = 1e4
"""A loss beyond this has exploded: at 20 a cross-entropy says that a network is sure, and wrong, everywhere."""


@dataclass(frozen=True)
class Evaluation:
    """What a task found out about itself during training.

    Attributes:
      scalars: by name.
      pictures: uint8 `[H, W, 3]` RGB, by name.
      kept: the same for pictures that are written to files, too (see `TrainingFolder.pictures`).
      score: what model selection maximises; None if the task has none.
      unlabelled: what selection without labels maximises; None if the task has none.
    """

    scalars: dict[str, float]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    score: float | None = None
    unlabelled: float | None = None


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
    """Ctrl-C, SIGTERM or SIGHUP: the run was saved and can go on."""

    exit_code = 130


@dataclass(frozen=True)
class Schedule:
    """When the trainer does what, in steps."""

    steps: int
    checkpoint_every: int
    keep_checkpoints: int
    evaluate_every: int
    log_every: int = 10


@dataclass(frozen=True)
class _State:
    """What a checkpoint keeps of the trainer itself.

    Attributes:
      metrics: the last logged ones.
      rows: metrics of the steps since then, which the next line of the log will be the mean of.
      best_score, best_step: the best evaluation so far and its step.
      unlabelled_score, unlabelled_step: the same without labels.
      seconds: spent so far.
    """

    metrics: dict[str, float | None] = field(default_factory=dict)
    rows: list[dict[str, float | None]] = field(default_factory=list)
    best_score: float | None = None
    best_step: int | None = None
    unlabelled_score: float | None = None
    unlabelled_step: int | None = None
    seconds: float = 0.0

    @classmethod
    def from_json(cls, value: dict) -> "_State":
        """Of a checkpoint; those of earlier versions lack some.

        Raises:
          Damaged: in words.
        """

        def optional(read, key, default):
            return default if value.get(key) is None else read(value, key)

        metrics = optional(state_file.mapping, "metrics", {})
        rows = optional(state_file.mappings, "rows", [])
        return cls(
            _numbers(metrics),
            [_numbers(row) for row in rows],
            optional(state_file.number, "best_score", None),
            optional(state_file.whole, "best_step", None),
            optional(state_file.number, "unlabelled_score", None),
            optional(state_file.whole, "unlabelled_step", None),
            optional(state_file.number, "seconds", 0.0),
        )


class Trainer:
    """Trains one task in one folder, going on where an earlier run stopped.

    The folder is this process's alone (`msda_tf.lock`): what killed ones left half-written in it is removed.

    Args:
      task: what to train.
      directory: receives what `TrainingFolder` names, and TensorBoard's event files.
      schedule: see `Schedule`.
      on_progress: called with (step, steps, headline) as training goes on; after an OSError, as of a terminal that is
        gone, no more.
      resume_hint: the command that continues the run, for messages.
      workers: the processes that train together; the chief alone writes and evaluates.
      on_saved: called, in the chief, when a checkpoint was written.
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
        on_saved: Callable[[], None] = lambda: None,
    ):
        self.task, self.folder, self.schedule = task, TrainingFolder(pathlib.Path(directory)), schedule
        self.resume_hint, self.workers = resume_hint, workers or Workers()
        self.chief = self.workers.chief
        self.checkpoints = Checkpoints(self.folder.checkpoints, keep=schedule.keep_checkpoints)
        self._on_progress: Callable | None = on_progress
        self._on_saved = on_saved
        self._signal: int | None = None
        self._best_score: float | None = None
        self._best_step: int | None = None
        self._unlabelled: tuple[float, int] | None = None
        self._rows: list[dict[str, float]] = []
        self._seconds_before = 0.0
        self._began = time.perf_counter()

    def run(self) -> Outcome:
        """Trains to the last step; a finished run returns at once.

        Raises:
          Interrupted: after Ctrl-C, SIGTERM or SIGHUP, with the state saved.
          MsdaError: a loss is not finite or beyond `LARGEST_LOSS`; something cannot be written; or checkpoints are gone
            that were there (see `msda_tf.training.progress`).
        """
        step, metrics = self._resume()
        if step >= self.schedule.steps:
            return self._outcome(step, metrics, self._seconds_before)
        self.folder.path.mkdir(parents=True, exist_ok=True)
        self._began = time.perf_counter()
        with _SignalCatcher(self), tf_path.literal(self.folder.path) as folder:
            writer = tf.summary.create_file_writer(str(folder)) if self.chief else tf.summary.create_noop_writer()
            with writer.as_default():
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
        step, restored = self.workers.together(self._restore)
        if len(steps := set(self.workers.gather(step))) > 1:
            raise MsdaError(
                f"{self.checkpoints.directory}: workers found checkpoints of different steps ({min(steps)}, "
                f"{max(steps)}): the run directory must lie on a file system that all of them share"
            )
        self._best_score, self._best_step, self._rows = restored.best_score, restored.best_step, restored.rows
        self._seconds_before = restored.seconds
        if None not in (restored.unlabelled_score, restored.unlabelled_step):
            self._unlabelled = restored.unlabelled_score, restored.unlabelled_step
        return step, restored.metrics

    def _restore(self) -> tuple[int, _State]:
        found = self.checkpoints.restore(self.task.checkpointables)
        return (0, self._taken_up(None, {})) if found is None else (found[0], self._taken_up(*found))

    def _taken_up(self, step: int | None, state: dict) -> _State:
        """The trainer's state at a step (None: nothing was restored), with the folder's other files brought there."""
        schedule, folder = self.schedule, self.folder
        try:
            restored = _State.from_json(state)
        except Damaged as error:
            path = checkpoint_files.folder(folder.checkpoints, step)
            raise MsdaError(
                f"{path / checkpoint_files.INFO} is damaged (state: {error}): take {path} away to go on from the "
                "checkpoint before it"
            ) from None
        if self.chief:
            progress.check(folder, restored=step, steps=schedule.steps, checkpoint_every=schedule.checkpoint_every)
            files.remove_left_overs(folder.path)
            files.remove_left_overs(folder.checkpoints)
            log.cut(folder.log, step)
            if step is None:
                folder.path.mkdir(parents=True, exist_ok=True)
                progress.note(folder, 0)
            elif step and not folder.log.exists():
                logging.warning("%s is gone: its curves will begin at step %d", folder.log, step)
        if restored.best_score is not None and restored.best_step is None:
            restored = dataclasses.replace(restored, best_step=self.checkpoints.best())  # of earlier versions
        if self.chief and step is not None:
            self.checkpoints.remove_old(step, restored.best_step, restored.unlabelled_step)
        return restored

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
            save = step % schedule.checkpoint_every == 0 or last
            # Also before every checkpoint: a diverged network must not replace a good one.
            due = step % schedule.log_every == 0 or evaluate or save
            if due or self._signal is not None:
                self._rows += self._fetch(pending)
                pending.clear()
            if due:
                metrics = _means(self._rows)
                self._rows.clear()
                seconds = time.perf_counter() - began
                metrics["images_per_second"] = (step - logged_at) * task.images_per_step() / seconds
                metrics["waiting_for_data"] = waited / seconds
                metrics |= task.learning_rates(step - 1) | memory.peak()
                self._log(step, metrics)
                self._show(step, f"{task.headline(metrics)}  {pace.described(metrics)}")
                waited, began, logged_at = 0.0, time.perf_counter(), step
            better = bool(evaluate) and self.chief and self._is_better(step, self._evaluate(step))
            if save or better or self._signal is not None:
                self._save(step, metrics)
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

    def _fetch(self, pending) -> list[dict[str, float]]:
        """The metrics of each step since the last call; refuses what is not finite, or too large."""
        rows = []
        for step, names, result in pending:
            row = {name: float(value) for name, value in result.items()}
            for name, value in row.items():
                # A gradient that overflows in float16 is skipped by the loss scale and no accident. Written so that
                # NaN, which is not smaller than anything, fails too.
                if not abs(value) <= LARGEST_LOSS and not name.startswith("gradient_norm"):
                    raise MsdaError(self._diverged(step, name, value, names))
            rows.append(row)
        return rows

    def _diverged(self, step, name, value, names) -> str:
        kept = self.checkpoints.steps()
        last = checkpoint_files.folder(self.checkpoints.directory, kept[-1]) if kept else "none yet"
        return (
            f"{self.task.name}: loss {name} is {value} at step {step}, with images {', '.join(names)}; last good "
            f"checkpoint: {last}; lower the learning rates, or look at these images"
        )

    def _log(self, step: int, metrics: dict[str, float]) -> None:
        with self._summarizing():
            for name, value in metrics.items():
                tf.summary.scalar(name, value, step=step)
        if self.chief:
            log.append(self.folder.log, step, metrics)

    def _show(self, step: int, headline: str) -> None:
        """Tells whoever watches; training does not end because nobody can."""
        if self._on_progress is None:
            return
        try:
            self._on_progress(step, self.schedule.steps, headline)
        except OSError as error:
            self._on_progress = None
            logging.warning("progress can be shown no more (%s); training goes on", error.strerror)

    def _evaluate(self, step: int) -> Evaluation:
        self._show(step, "evaluating")
        evaluation = self.task.evaluate()
        with self._summarizing():
            for name, picture in (evaluation.pictures | evaluation.kept).items():
                tf.summary.image(name, picture[None], step=step)
        for name, picture in evaluation.kept.items():
            self._keep(step, name, picture)
        self._log(step, evaluation.scalars)
        return evaluation

    def _keep(self, step: int, name: str, picture: np.ndarray) -> None:
        path = self.folder.pictures / f"step-{step:08d}-{name}.png"
        try:
            path.parent.mkdir(exist_ok=True)
            with files.replacing(path) as temporary:
                temporary.write_bytes(tf.io.encode_png(picture).numpy())
        except OSError as error:
            raise MsdaError(
                f"{path} cannot be written ({error.strerror}): make room there, then {self.resume_hint}"
            ) from None

    def _is_better(self, step: int, evaluation: Evaluation) -> bool:
        """Whether the evaluation is the best so far, by its score or by what it has without labels."""
        best = self._is_best(step, evaluation.score)
        value, before = evaluation.unlabelled, self._unlabelled
        if value is None or not math.isfinite(value) or (before is not None and value <= before[0]):
            return best
        self._unlabelled = value, step
        return True

    def _is_best(self, step: int, score: float | None) -> bool:
        if score is None or not math.isfinite(score) or (self._best_score is not None and score <= self._best_score):
            return False
        self._best_score, self._best_step = score, step
        return True

    def _save(self, step, metrics):
        if self.chief:
            state = {
                "metrics": _storable(metrics),
                "rows": [_storable(row) for row in self._rows],
                "best_score": self._best_score,
                "best_step": self._best_step,
                "seconds": self._seconds(),
            }
            unlabelled = None
            if self._unlabelled is not None:
                state["unlabelled_score"], state["unlabelled_step"] = self._unlabelled
                unlabelled = self._unlabelled[1]
            chosen = {"best": self._best_step, "unlabelled": unlabelled}
            self.checkpoints.save(self.task.checkpointables, step=step, state=state, **chosen)
            progress.note(self.folder, step)
            with self._summarizing():
                tf.summary.flush()
            self._on_saved()

    @contextlib.contextmanager
    def _summarizing(self):
        """A full disk is "resource exhausted" for TensorFlow, which is no lack of memory."""
        try:
            yield
        except tf.errors.OpError as error:
            reason = error.message.strip().splitlines()[0].rpartition("; ")[2][:120]
            raise MsdaError(
                f"{self.folder.path}: TensorBoard's event file cannot be written ({reason}): make room there, then "
                f"{self.resume_hint}"
            ) from None

    def interrupt(self, number: int) -> None:
        """Asks the loop to save and stop after the present step."""
        self._signal = number
        logging.info("stopping after this step")


class _SignalCatcher:
    """Turns the first SIGINT, SIGTERM or SIGHUP into `Trainer.interrupt`; a second one ends the process at once.

    But not a second SIGHUP: when a connection drops, shell and kernel send one each, and saving takes a moment. A
    SIGHUP that is ignored, as under nohup, stays ignored.
    """

    def __init__(self, trainer: Trainer):
        self._trainer = trainer

    def __enter__(self):
        numbers = [signal.SIGINT, signal.SIGTERM]
        self._hangup = getattr(signal, "SIGHUP", None)
        if self._hangup is not None and signal.getsignal(self._hangup) is not signal.SIG_IGN:
            numbers.append(self._hangup)
        try:
            self._old = {number: signal.signal(number, self._caught) for number in numbers}
        except ValueError:  # not the main thread: signals are somebody else's business
            self._old = {}

    def __exit__(self, *_):
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _caught(self, number, frame):
        for caught, handler in self._old.items():
            signal.signal(caught, signal.SIG_IGN if caught == self._hangup else handler)
        self._trainer.interrupt(number)


def _means(rows: list[dict[str, float | None]]) -> dict[str, float]:
    """Of each metric over the steps; NaN where one was not finite and came out of a checkpoint."""
    names = rows[0]
    return {name: float(np.mean([np.nan if row.get(name) is None else row[name] for row in rows])) for name in names}


def _numbers(metrics: dict) -> dict[str, float | None]:
    """Raises Damaged if a value is neither a number nor null."""
    return {name: None if value is None else state_file.number(metrics, name) for name, value in metrics.items()}


def _storable(metrics: dict) -> dict:
    return {name: None if value is None else log.finite(value) for name, value in metrics.items()}
