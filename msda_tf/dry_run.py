"""What a training would cost, and whether it runs: some steps of every network, without a run directory."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from msda_tf.config import TrainConfig
from msda_tf.config.branches import NetworkPlan, plan
from msda_tf.config.inputs import input_size
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.methods import forecast
from msda_tf.methods.task import SegmentationTask
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.train import check_batch, load_manifests
from msda_tf.training import graph_cost, memory
from msda_tf.training.workers import local_strategy

TIMED = 2
"""Steps that are timed, beside the first one for each combination of image sizes."""


@dataclass(frozen=True)
class Cost:
    """What one network's training costs on this machine.

    Attributes:
      network: which.
      sizes: (height, width) at which the network sees the images of each data set, by name.
      parameters: number by part: backbone, classifiers, discriminators, and frozen (those of all parts that training
        does not change).
      flops: floating-point operations of a step, of all devices. Where steps see images of different sizes (from a pool
        of sources or targets), of the costliest, like the bytes.
      variable_bytes: weights and what the optimizers keep for them, on each device.
      step_bytes: estimate of activations and gradients at their peak, on each device.
      peak: measured peaks in GiB (see `msda_tf.training.memory.peak`).
      images: of a step.
      first_seconds: of the first step, with tracing and compilation.
      step_seconds: median of the others.
      together: whether domains of one size passed the backbone together.
    """

    network: NetworkPlan
    sizes: dict[str, tuple[int, int]]
    parameters: dict[str, int]
    flops: int
    variable_bytes: int
    step_bytes: int
    peak: dict[str, float]
    images: int
    first_seconds: float
    step_seconds: float
    together: bool


def dry_run(config: TrainConfig) -> Iterator[Cost]:
    """Makes the networks of a run one after the other, has each take some steps on the real data, and forgets them.

    Starting weights are random: they change neither cost nor speed.

    Raises:
      UsageError: see `msda_tf.train.load_manifests` and `check_batch`.
    """
    manifests = load_manifests(config)
    strategy = local_strategy()
    check_batch(config, manifests, strategy)
    sizes = {name: input_size(config, manifest) for name, manifest in manifests.items()}
    for network in plan(config):
        corrupt = CorruptRecords(limit=config.corrupt_limit)
        task = SegmentationTask(config=config, network=network, manifests=manifests, strategy=strategy, corrupt=corrupt)
        start = time.perf_counter()
        costliest = task.step_graph(task.blank_batch())
        tracing = time.perf_counter() - start
        forecast.warn(task, manifests)
        batches = task.batches(0)
        first_seconds, seconds, graphs = [], [], []
        while len(seconds) < TIMED:
            batch = next(batches)
            start = time.perf_counter()
            graph = task.step_graph(batch)
            for value in task.train_step(batch).values():
                value.numpy()
            # Every combination of image sizes is traced once: that is no time of a step.
            seen = any(graph is each for each in graphs)
            (seconds if seen else first_seconds).append(time.perf_counter() - start)
            graphs += [] if seen else [graph]
        yield Cost(
            network=network,
            sizes=sizes,
            parameters=parameters(task.segmenter),
            flops=graph_cost.flops(costliest),
            variable_bytes=task.variable_bytes(),
            step_bytes=task.step_bytes(task.blank_batch()),
            peak=memory.peak(),
            images=task.images_per_step(),
            first_seconds=first_seconds[0] + (tracing if graphs[0] is costliest else 0.0),
            step_seconds=statistics.median(seconds),
            together=task.method.together,
        )


def parameters(segmenter: MultiSourceSegmenter) -> dict[str, int]:
    """Number of trained parameters by part, and of all that training does not change."""
    trained = {
        "backbone": segmenter.backbone.trainable_variables,
        "classifiers": segmenter.head_variables,
        "discriminators": segmenter.discriminator_variables,
    }
    counts = {part: sum(map(_size, variables)) for part, variables in trained.items()}
    return counts | {"frozen": sum(map(_size, segmenter.variables)) - sum(counts.values())}


def _size(variable) -> int:
    return variable.value.shape.num_elements()
