"""Trains UNIT between a source and a target, or continues where it stopped."""

import pathlib
from collections.abc import Callable

import tensorflow as tf

from msda_tf import files, lock
from msda_tf.data import manifest as manifests_module
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError, out_of_memory
from msda_tf.stylize import perceptual, run
from msda_tf.stylize.config import StylizeConfig, validate
from msda_tf.stylize.images import working_size
from msda_tf.stylize.run import StylizeRun
from msda_tf.stylize.task import UnitTask
from msda_tf.training.trainer import Outcome, Schedule, Trainer
from msda_tf.training.workers import local_strategy


def default_directory(config: StylizeConfig) -> pathlib.Path:
    """`runs/stylize-SOURCE-to-TARGET`, with the seed behind it if it is not 0."""
    name = f"stylize-{config.source}-to-{config.target}"
    return pathlib.Path("runs") / (f"{name}-seed{config.seed}" if config.seed else name)


def load_manifests(config: StylizeConfig) -> dict[str, Manifest]:
    """The source's manifest under "a" and the target's under "b".

    Raises:
      UsageError: one is not prepared, or its images are smaller than the crops.
    """
    validate(config)
    found = {
        domain: manifests_module.find(config.data, name)
        for domain, name in (("a", config.source), ("b", config.target))
    }
    for manifest in found.values():
        size = working_size(config, manifest)
        if min(size) < config.crop:
            raise UsageError(
                f"images of {manifest.name!r} are {size[1]}x{size[0]} pixels, smaller than crops of {config.crop}: "
                "lower crop, or raise shortest_side"
            )
    return found


def train(
    config: StylizeConfig,
    directory: pathlib.Path,
    *,
    restart: bool = False,
    on_progress: Callable[[int, int, str], None] = lambda step, steps, headline: None,
    on_note: Callable[[str], None] = lambda note: None,
    on_saved: Callable[[], None] = lambda: None,
) -> tuple[StylizeRun, Outcome]:
    """Trains, or continues.

    Args:
      config: all knobs.
      directory: the run directory; made if it is not there.
      restart: remove what an earlier run left there and start over.
      on_progress: called with (step, steps, headline).
      on_note: told in one line whether the VGG16 term is used.
      on_saved: called when the run's folder holds something that is worth keeping: the run begun, a checkpoint.

    Raises:
      UsageError: see `load_manifests` and `run.check_same`.
      MsdaError: see `Trainer.run`.
    """
    manifests = load_manifests(config)
    directory = pathlib.Path(directory)
    with lock.hold(directory, "msda-tf stylize train"):
        return _train(config, directory, manifests, restart, on_progress, on_note, on_saved)


def _train(config, directory, manifests, restart, on_progress, on_note, on_saved) -> tuple[StylizeRun, Outcome]:
    files.remove_left_overs(directory)
    if restart and run.exists(directory):
        run.remove(directory)
    by_name = {manifest.name: manifest for manifest in manifests.values()}
    if run.exists(directory):
        begun = run.read(directory)
        run.check_same(begun, config, by_name)
        vgg_weights = _same_weights(begun, on_note)
    elif any(not path.name.startswith(lock.FILE_NAME) for path in directory.iterdir()):
        raise UsageError(f"{directory} is not empty and holds no stylize run: choose another folder with --run")
    else:
        vgg_weights = None
        if _wants_vgg(config):
            vgg_weights, note = perceptual.find()
            on_note(note)
        begun = run.create(directory, config, by_name, perceptual=vgg_weights is not None)
    on_saved()
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = local_strategy()
    if config.batch_size % strategy.num_replicas_in_sync:
        raise UsageError(
            f"batch_size {config.batch_size} cannot be split over {strategy.num_replicas_in_sync} devices: choose a "
            "multiple, or fewer devices with CUDA_VISIBLE_DEVICES"
        )
    if config.jit:
        if strategy.num_replicas_in_sync > 1:
            raise UsageError(
                "jit compiles UNIT's step for one device alone: leave it out, or choose a device with "
                "CUDA_VISIBLE_DEVICES"
            )
        # The optimizers, which UNIT's step holds in its middle, then wait for nobody.
        strategy = tf.distribute.OneDeviceStrategy(strategy.extended.worker_devices[0])
    corrupt = CorruptRecords(limit=config.corrupt_limit)
    task = UnitTask(config=config, manifests=manifests, strategy=strategy, corrupt=corrupt, vgg_weights=vgg_weights)
    schedule = Schedule(
        steps=config.steps,
        checkpoint_every=config.checkpoint_every,
        keep_checkpoints=config.keep_checkpoints,
        evaluate_every=config.evaluate_every,
    )
    hint = f"run msda-tf stylize train --run {directory} with the same settings"
    trainer = Trainer(task, directory, schedule=schedule, on_progress=on_progress, resume_hint=hint, on_saved=on_saved)
    try:
        return begun, trainer.run()
    except tf.errors.ResourceExhaustedError as error:
        raise MsdaError(
            f"{out_of_memory(error.message)}; try --set crop=256, --set "
            "precision=mixed_bfloat16, or --set perceptual_weight=0"
        ) from None


def _wants_vgg(config: StylizeConfig) -> bool:
    return config.perceptual_weight > 0 and config.perceptual_features == "vgg16"


def _same_weights(begun: StylizeRun, on_note) -> str | None:
    """The VGG16 weights, if the run was begun with them: half-way is no time for another loss."""
    if not begun.info["perceptual"]:
        if _wants_vgg(begun.config):
            on_note("the VGG16 term is off, as it was when the run began")
        return None
    path, note = perceptual.find()
    if path is None:
        raise MsdaError(f"{begun.directory} was begun with the VGG16 term, and now {note}")
    return path
