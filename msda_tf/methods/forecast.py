"""Whether a step fits into memory, and which settings would make it fit: estimates from its graph, before it is run."""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from absl import logging

from msda_tf.config import TrainConfig
from msda_tf.config.inputs import crop_size, input_size
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.methods.task import SegmentationTask
from msda_tf.training import memory

SMALLEST_INPUT = 32
"""Pixels: the five convolutions of a discriminator halve its map five times."""

_SHARE = 0.9
"""Of the memory that there is, what an estimate may take: it does not count what libraries work with."""

_ENOUGH = 3
"""Remedies that are named: each has its step traced, which takes up to half a minute."""


@dataclass(frozen=True)
class Remedy:
    """Settings that take less memory.

    Attributes:
      settings: by key.
      words: how `train` is given them.
      costs: what they cost, in a few words.
      leaves: how much of the memory they still take, where that is known beforehand.
    """

    settings: dict[str, Any]
    words: str
    costs: str
    leaves: str = ""

    def __str__(self) -> str:
        return f"{self.words} ({', '.join(filter(None, [self.leaves, self.costs]))})"


def remedies(config: TrainConfig, devices: int = 1, *, together: bool = False, on_gpu: bool = True) -> list[Remedy]:
    """What takes less memory than these settings, in the order of what is lost by it; the batch stays what it is.

    Args:
      config: that does not fit.
      devices: over which a batch is spread.
      together: whether domains of one size pass the backbone together.
      on_gpu: whether the step runs on one: on CPUs, bfloat16 may fail (docs/training.md).
    """
    found = []
    if together:
        found.append(Remedy({"passes": "apart"}, "--set passes=apart", "slower on a GPU, the same results"))
    if not config.recompute:
        found.append(Remedy({"recompute": True}, "--recompute", "a third more time, the same results"))
    if config.accumulate * devices < config.batch_size:
        parts = config.batch_size // devices
        costs = "an image at a time, the same batch"
        found.append(Remedy({"accumulate": parts}, f"--set accumulate={parts}", costs))
    if config.precision == "float32" and on_gpu:
        precision = "mixed_bfloat16"
        found.append(Remedy({"precision": precision}, f"--precision {precision}", "coarser arithmetic", "about half"))
    if config.crop:
        crop = tuple(max(SMALLEST_INPUT, side // 2) for side in config.crop)
        found.append(Remedy({"crop": crop}, f"--set crop=[{crop[0]},{crop[1]}]", "smaller crops", "about a quarter"))
    scale = config.scale / 2
    found.append(Remedy({"scale": scale}, f"--set scale={scale:g}", "smaller images", "about a quarter"))
    return found


@dataclass(frozen=True)
class Shortage:
    """A step that takes more memory than there is, by estimate.

    Attributes:
      needed: bytes that it takes on each device.
      left: bytes that there are.
      on_gpu: whether they are a GPU's.
    """

    needed: int
    left: int
    on_gpu: bool

    def __str__(self) -> str:
        there = f"the GPU has {_size(self.left)}" if self.on_gpu else f"{_size(self.left)} are left"
        return f"by estimate a step takes {_size(self.needed)} of memory, and {there}: it may run out"


def shortage(task: SegmentationTask) -> Shortage | None:
    """What a task's costliest step lacks; None if it fits, or nobody can tell. Traces the step, if it was not yet.

    It can warn and not refuse: TensorFlow may run operations in another order than they were written in, libraries work
    with memory of their own, and XLA, which fuses operations, may take much less.
    """
    limit = memory.gpu_limit()
    left = memory.cpu_left() if limit is None else limit
    if left is None:
        return None
    needed = task.step_bytes(task.blank_batch())
    if limit is not None:
        needed += task.variable_bytes()  # those of a CPU are among what is taken already
    return None if needed <= _SHARE * left else Shortage(needed, left, limit is not None)


def fitting(lacking: Shortage, task: SegmentationTask, manifests: dict[str, Manifest]) -> list[str]:
    """The remedies with which a step would fit by estimate, the smallest loss first; of several together if none would
    alone. Empty if nothing helps.

    Args:
      lacking: what `shortage` found of the task.
      task: whose step does not fit.
      manifests: of its sources and targets, by name.
    """
    config, network, devices = task.config, task.network, task.strategy.num_replicas_in_sync

    def fits(changes: list[Remedy]) -> str | None:
        changed = dataclasses.replace(
            config, **{key: value for each in changes for key, value in each.settings.items()}
        )
        if not _possible(changed, manifests):
            return None
        needed = _estimate(changed, network, manifests, devices=devices, variables=lacking.on_gpu)
        if needed > _SHARE * lacking.left:
            return None
        costs = "; ".join(each.costs for each in changes)
        return f"{' '.join(each.words for each in changes)} ({_size(needed)}; {costs})"

    alone = remedies(config, devices, together=task.method.together, on_gpu=lacking.on_gpu)
    found = list(itertools.islice(filter(None, (fits([each]) for each in alone)), _ENOUGH))
    if found:
        return found
    return list(itertools.islice(filter(None, map(fits, _joined(alone))), 1))


def _joined(alone: list[Remedy]) -> Iterator[list[Remedy]]:
    """More and more of them at once; at last the images smaller and smaller."""
    for count in range(2, len(alone) + 1):
        yield alone[:count]
    *others, last = alone
    scale = last.settings["scale"]
    while (scale := scale / 2) > 1 / 64:
        yield [*others, Remedy({"scale": scale}, f"--set scale={scale:g}", "smaller images")]


def _possible(config: TrainConfig, manifests: dict[str, Manifest]) -> bool:
    """Whether images of these settings are large enough."""
    sizes = [input_size(config, manifest) for manifest in manifests.values()]
    least = crop_size(config, manifests) or (SMALLEST_INPUT, SMALLEST_INPUT)
    return min(least) >= SMALLEST_INPUT and all(h >= least[0] and w >= least[1] for h, w in sizes)


def _estimate(config: TrainConfig, network, manifests, *, devices: int, variables: bool) -> int:
    """Bytes of a step on each device, as `shortage` counts them; the network is made in the computer's own memory."""
    config = dataclasses.replace(config, batch_size=config.batch_size // devices)
    with tf.device("CPU"):
        task = SegmentationTask(
            config=config,
            network=network,
            manifests=manifests,
            strategy=tf.distribute.get_strategy(),
            corrupt=CorruptRecords(limit=0),
        )
        return task.step_bytes(task.blank_batch()) + (task.variable_bytes() if variables else 0)


def warn(task: SegmentationTask, manifests: dict[str, Manifest], *, alone: bool = True, hint: str = "") -> None:
    """Says in the log that a task's step will not fit, and what would: to be called before the first step.

    Args:
      task, manifests: see `fitting`.
      alone: whether no other process waits for this one.
      hint: how the settings are changed.
    """
    lacking = shortage(task)
    if lacking is None:
        return
    logging.warning("%s: %s", task.name, lacking)
    if not alone:
        return
    found = fitting(lacking, task, manifests)
    with_these = f"by the same estimate it fits with {', or '.join(found)}"
    said = with_these if found else "no setting of train makes it fit: use a smaller backbone"
    logging.warning("%s: %s%s", task.name, said, f"; {hint}" if hint else "")


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
