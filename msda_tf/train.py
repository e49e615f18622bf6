"""Trains a run: every network of its layout, one after the other, continuing where it stopped."""

import contextlib
import math
import os
import pathlib
from collections.abc import Callable

import tensorflow as tf
from absl import logging

from msda_tf import lock, runs, weights
from msda_tf.config import TrainConfig, validate
from msda_tf.config.branches import NetworkPlan, adapts
from msda_tf.config.inputs import crop_size, input_size
from msda_tf.data import manifest as manifests_module
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError, out_of_memory
from msda_tf.methods import METHODS, forecast, health
from msda_tf.methods.forecast import SMALLEST_INPUT
from msda_tf.methods.task import SegmentationTask
from msda_tf.runs import Run, beginning, cross_source
from msda_tf.training import checkpoint_files, log
from msda_tf.training.trainer import Outcome, Schedule, Trainer
from msda_tf.training.workers import Workers, connect
from msda_tf.weights import ImportReport

Progress = Callable[[NetworkPlan, int, int, str], None]


def load_manifests(config: TrainConfig) -> dict[str, Manifest]:
    """The prepared data sets of a configuration, by name.

    Raises:
      UsageError: one is not prepared, a source has no labels, their classes differ, or their images are too small.
    """
    validate(config)
    found = {name: manifests_module.find(config.data, name) for name in (*config.targets, *config.sources)}
    target, *others = config.targets
    classes = found[target].classes
    for name in others:
        own = found[name].classes
        if own.names != classes.names:
            raise UsageError(
                f"target {name!r} has {len(own)} classes and target {target!r} {len(classes)}, or they are named "
                "differently: prepare both with the same class list"
            )
    for name in config.sources:
        manifest = found[name]
        if not manifest.splits[manifest.training_split].labelled:
            raise UsageError(f"source {name!r} has no labels: only the target may be unlabelled")
        if manifest.classes.names != classes.names:
            raise UsageError(
                f"source {name!r} has {len(manifest.classes)} classes and target {target!r} {len(classes)}, or "
                "they are named differently: prepare both with the same class list"
            )
    cropped = crop_size(config, found)
    for manifest in found.values():
        height, width = input_size(config, manifest)
        if cropped and (cropped[0] > height or cropped[1] > width):
            raise UsageError(
                f"crop is {cropped[1]}x{cropped[0]}, but images of {manifest.name!r} reach the network with "
                f"{width}x{height} pixels: lower crop, or raise scale, or source_size and target_size"
            )
        if min(height, width) < SMALLEST_INPUT:
            raise UsageError(
                f"images of {manifest.name!r} reach the network with {width}x{height} pixels, fewer than the "
                f"{SMALLEST_INPUT} that a discriminator needs: raise scale, or source_size and target_size"
            )
    if cropped and min(cropped) < SMALLEST_INPUT:
        raise UsageError(
            f"crops of {cropped[1]}x{cropped[0]} pixels are smaller than the {SMALLEST_INPUT} that a network needs: "
            "raise crop"
        )
    beyond = [number for number in config.feature_distance_classes if number >= len(classes)]
    if METHODS[config.method].teacher and config.feature_distance and beyond:
        raise UsageError(
            f"feature_distance_classes names class {beyond[0]}, but {config.target!r} has {len(classes)}, counted from "
            "0: name those of its things"
        )
    return found


def default_directory(config: TrainConfig) -> pathlib.Path:
    """`runs/TARGET`, or `runs/TARGET+TARGET`, with what distinguishes the run from the default one behind it."""
    parts = [config.target.replace(":", "-").replace(",", "+")]
    if not adapts(config):
        parts.append("no-adapt")
    elif config.method != TrainConfig().method:
        parts.append(config.method)
    elif config.layout != "separate":
        parts.append(config.layout)
    if config.seed:
        parts.append(f"seed{config.seed}")
    return pathlib.Path("runs") / "-".join(parts)


def train(
    config: TrainConfig,
    directory: pathlib.Path,
    *,
    restart: bool = False,
    on_progress: Progress | None = None,
    on_weights: Callable[[NetworkPlan, ImportReport], None] = lambda network, report: None,
    on_finished: Callable[[NetworkPlan, Outcome], None] = lambda network, outcome: None,
    on_saved: Callable[[], None] = lambda: None,
) -> Run:
    """Trains a run, or continues it.

    Args:
      config: all knobs.
      directory: the run directory; made if it is not there.
      restart: remove what an earlier run left there and start over.
      on_progress: called with (network, step, steps, headline).
      on_weights: told what a network's starting weights were.
      on_finished: told how a network's training ended.
      on_saved: called when the run's folder holds something that is worth keeping: the run begun, a checkpoint.

    Returns:
      the finished run.

    Raises:
      UsageError: see `load_manifests` and `runs.check_same`.
      MsdaError: see `Trainer.run`.
    """
    manifests = load_manifests(config)
    directory = pathlib.Path(directory)
    workers = connect()
    check_batch(config, manifests, workers.strategy, machines=workers.count)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with contextlib.ExitStack() as held:

        def begin():
            if workers.chief:
                held.enter_context(lock.hold(directory, "msda-tf train"))
                beginning.begin(directory, config, manifests, restart=restart)
                on_saved()

        workers.together(begin)
        run = workers.together(lambda: _open_run(directory, config, manifests))
        asked, config = config, runs.as_begun(run, config)
        for key in (key for key in run.newer_knobs if getattr(asked, key) != getattr(config, key)):
            value = getattr(config, key)
            logging.warning("%s was begun before there was %s: it goes on with %s=%s", directory, key, key, value)
        for network in run.networks:
            _train_network(run, config, network, manifests, workers, on_progress, on_weights, on_finished, on_saved)
        # None may leave while another still talks to it: the chief may be evaluating.
        workers.gather(0)
    return run


def check_batch(
    config: TrainConfig, manifests: dict[str, Manifest], strategy: tf.distribute.Strategy, *, machines: int = 1
) -> None:
    """Raises UsageError if a batch cannot be split evenly over devices and micro-batches, or has no room in memory."""
    if config.batch_size % (strategy.num_replicas_in_sync * config.accumulate):
        raise UsageError(
            f"batch_size {config.batch_size} cannot be split over {strategy.num_replicas_in_sync} devices x accumulate "
            f"= {config.accumulate}: choose a multiple, or fewer devices with CUDA_VISIBLE_DEVICES"
        )
    # Less than what a step takes, but no machine has it: what needs more memory than there is must not be tried.
    cropped = crop_size(config, manifests)
    pixels = {name: math.prod(cropped or input_size(config, manifest)) for name, manifest in manifests.items()}
    # A step sees every source and one of the targets.
    largest = sum(pixels[name] for name in config.sources) + max(pixels[name] for name in config.targets)
    needed = 12 * config.batch_size // machines * largest
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        sizes = ", ".join(
            f"{name} {w}x{h}" for name, (h, w) in ((n, input_size(config, m)) for n, m in manifests.items())
        )
        raise UsageError(
            f"batch_size {config.batch_size} of images of {sizes} takes {needed >> 30} GB for the images of one step "
            f"alone, and this machine has {memory >> 30} GB: lower batch_size, scale, source_size or target_size"
        )


def _open_run(directory, config, manifests):
    if not runs.exists(directory):
        raise MsdaError(f"{directory} is not there: the run directory must lie on a file system that all workers share")
    run = runs.read(directory)
    runs.check_same(run, config, manifests)
    beginning.check_there(run)
    return run


def _train_network(run, config, network, manifests, workers: Workers, on_progress, on_weights, on_finished, on_saved):
    corrupt = CorruptRecords(limit=config.corrupt_limit)
    task = SegmentationTask(
        config=config, network=network, manifests=manifests, strategy=workers.strategy, corrupt=corrupt
    )
    evaluate_every = config.evaluate_every
    if not task.scored and evaluate_every and not config.held_out:
        logging.info(
            "target %s has no labelled images: no evaluation in training; with held_out above 0 there are estimates",
            config.target,
        )
        evaluate_every = 0
    told: set[str] = set()

    def shown(step, steps, headline):
        if headline == "evaluating" and METHODS[config.method].teacher:
            for line in health.collapsed(log.read(run.folder(network).log)):
                if (gone := line.split(" since ")[0]) not in told:
                    told.add(gone)
                    logging.warning("%s: %s", network.name, line)
        if on_progress:
            on_progress(network, step, steps, headline)

    trainer = Trainer(
        task,
        run.folder(network).path,
        schedule=Schedule(
            steps=config.steps,
            checkpoint_every=config.checkpoint_every,
            keep_checkpoints=config.keep_checkpoints,
            evaluate_every=evaluate_every,
        ),
        on_progress=shown,
        resume_hint=f"run msda-tf train --run {run.directory} with the same settings",
        workers=workers,
        on_saved=on_saved,
    )
    if config.init != "none" and not trainer.checkpoints.steps():
        report = workers.together(
            lambda: weights.initialize(
                task.segmenter,
                config.init,
                allow_partial=config.init_partial,
                allow_target_labels=config.init_target_labels,
            )
        )
        if workers.chief:
            runs.note_starting_weights(run.directory, network, report.described())
        on_weights(network, report)
    if not trainer.checkpoints.steps():
        workers.together(task.begin)
    if (trainer.checkpoints.steps() or [0])[-1] < config.steps:
        hint = "to choose, stop with Ctrl-C and start over with --restart"
        forecast.warn(task, manifests, alone=workers.count == 1, hint=hint)
    try:
        with workers.together_or_not_at_all():
            outcome = trainer.run()
    except tf.errors.ResourceExhaustedError as error:
        devices, on_gpu = workers.strategy.num_replicas_in_sync, bool(tf.config.list_logical_devices("GPU"))
        remedies = forecast.remedies(config, devices, together=task.method.together, on_gpu=on_gpu)
        raise MsdaError(
            f"{network.name}: {out_of_memory(error.message)}; start over with --restart and one of: "
            f"{', '.join(map(str, remedies))}"
        ) from None
    if workers.chief and config.held_out:
        _score_held_out(run, network, task, config)
    on_finished(network, outcome)


def _score_held_out(run: Run, network: NetworkPlan, task: SegmentationTask, config: TrainConfig) -> None:
    """Writes the trained network's part of the cross-source table, if it is not there yet."""
    folder = run.folder(network).checkpoints
    last = checkpoint_files.folder(folder, config.steps)
    student = METHODS[config.method].teacher and config.serve == "student"
    if cross_source.read(run, network, checkpoint_files.checksum(last), student=student) is None:
        cross_source.write(run, network, config.steps, task.held_out.cells(), student=student)
