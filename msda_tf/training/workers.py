"""The processes that train together: one by default, several where TF_CONFIG names them.

Each runs the same command on its own machine and is given its part of every batch; their gradients are summed by
TensorFlow's MultiWorkerMirroredStrategy. One, the chief, writes.
"""

import contextlib
import json
import os
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf
from absl import logging

from msda_tf.errors import MsdaError, UsageError

Result = TypeVar("Result")

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


class Workers:
    """This process among those that train together. All must call `gather` and `together` in the same order.

    Args:
      strategy: over the devices of all of them.
      index: of this process; 0 is the chief.
      count: how many there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None, *, index: int = 0, count: int = 1):
        self.strategy, self.index, self.count = strategy or tf.distribute.get_strategy(), index, count

        # Built once: Strategy.gather, called eagerly, would trace a new function every time, and keep it.
        @tf.function(autograph=False)
        def total(values):
            return self.strategy.reduce("SUM", self.strategy.run(tf.identity, args=(values,)), axis=None)

        self._total = total

    @property
    def chief(self) -> bool:
        """Whether this process writes checkpoints, logs and run.json."""
        return self.index == 0

    def gather(self, value: int) -> list[int]:
        """What the workers gave, in their order."""
        if self.count == 1:
            return [value]
        with self.together_or_not_at_all():
            # Each adds its value at its own place, once for each of its devices.
            own = tf.one_hot(self.index, self.count, on_value=tf.constant(value, tf.int64), dtype=tf.int64)
            devices = self.strategy.num_replicas_in_sync // self.count
            return (self._total(own).numpy() // devices).tolist()

    def together(self, action: Callable[[], Result]) -> Result:
        """Runs something that may fail on one worker only, such as reading a file, and goes on if none failed.

        Raises:
          MsdaError: it failed on another worker. On this worker, what `action` raised.
        """
        try:
            result = action()
        except Exception:
            self.gather(1)
            raise
        if any(self.gather(0)):
            raise MsdaError(f"worker {self.index} stops because another one failed: the output of that one says why")
        return result

    @contextlib.contextmanager
    def together_or_not_at_all(self):
        """Turns TensorFlow's errors about a worker that is gone into one line."""
        try:
            yield
        except _LOST as error:
            if self.count == 1:
                raise
            reason = (error.message or type(error).__name__).splitlines()[0][:120]
            raise MsdaError(
                f"worker {self.index} of {self.count} lost another one ({reason}): its own output says why; "
                "start all of them again with the same command to go on from the last checkpoint"
            ) from None


def place() -> tuple[int, int]:
    """(index of this worker, how many TF_CONFIG names); (0, 1) without it.

    Raises:
      UsageError: TF_CONFIG is not what TensorFlow describes.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 0, 1
    try:
        value = json.loads(text)
        jobs = {job: len(addresses) for job, addresses in value["cluster"].items() if job in ("chief", "worker")}
        kind, number = value["task"]["type"], int(value["task"]["index"])
        count = sum(jobs.values())
        index = number + (jobs.get("chief", 0) if kind == "worker" else 0)
        if not (kind in jobs and 0 <= number < jobs[kind] and jobs.get("chief", 1) == 1):
            raise ValueError("no such task")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"TF_CONFIG cannot be used ({type(error).__name__}: {error}): expected "
            '{"cluster": {"worker": ["host0:port", "host1:port"]}, "task": {"type": "worker", "index": 0}}'
        ) from None
    return index, count


def connect() -> Workers:
    """The workers that TF_CONFIG names, or this process alone. Must come before anything else that runs TensorFlow.

    Waits until all workers have started.

    Raises:
      UsageError: TF_CONFIG is not what TensorFlow describes.
    """
    index, count = place()
    if count == 1:
        return Workers(local_strategy())
    logging.warning("worker %d of %d: waiting for the others", index, count)
    return Workers(tf.distribute.MultiWorkerMirroredStrategy(), index=index, count=count)


def local_strategy() -> tf.distribute.Strategy:
    """All GPUs of this machine (or all logical CPUs, where there are several), mirrored."""
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
