"""What runs are worth on a target without labels, from how their branches did on sources that they had not seen."""

import contextlib
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from msda_tf import files, lock, runs
from msda_tf.data import pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.errors import UsageError
from msda_tf.evaluation import estimates, palettes, pictures
from msda_tf.evaluation import resolution as resolutions
from msda_tf.evaluation.estimates import Estimates
from msda_tf.evaluation.resolution import Resolution
from msda_tf.evaluation.tables import aligned
from msda_tf.evaluation.unlabelled import Estimate
from msda_tf.inference.room import room_for
from msda_tf.inference.sureness import confidence_of
from msda_tf.inference.unlabelled import Unlabelled
from msda_tf.runs import target as target_module
from msda_tf.runs import trained
from msda_tf.runs.made_from import ScoredData
from msda_tf.runs.trained import Trained

ROWS = {
    "estimated mIoU": lambda each: f"{100 * each.miou:.1f} ± {100 * each.error:.1f}",
    "right pixels, ATC": lambda each: _percent(each.threshold_accuracy),
    "right pixels, DoC": lambda each: _percent(each.confidence_accuracy),
    "agreement": lambda each: _percent(each.agreement),
    "entropy, nats": lambda each: f"{each.entropy:.3f}",
    "density, nats": lambda each: f"{each.density:.3f}",
}
"""Name of a figure -> how that of an `Estimate` is shown."""


OnImage = Callable[[str, np.ndarray, dict[str, np.ndarray], Sequence[str]], None]
"""Takes an image's name, the image uint8 `[H, W, 3]` RGB, every label map by name, and which of these were merged."""


@dataclass(frozen=True)
class Estimation:
    """What `estimate` found.

    Attributes:
      estimates: by branch and merge.
      trained: the networks.
      data: name of the target.
      split: of it.
      images: number of images looked at.
      resolution: their sizes.
      scored_on: their data set, as results name it.
      pictures: the panels that were written.
      notes: what whoever sees the figures must know, a sentence each.
    """

    estimates: dict[str, Estimate]
    trained: Trained
    data: str
    split: str
    images: int
    resolution: Resolution
    scored_on: ScoredData
    pictures: tuple[pathlib.Path, ...]
    notes: tuple[str, ...]


def needed(
    directories: Sequence[str | pathlib.Path],
    data: str | pathlib.Path | None,
    split: str | None,
    target: str | None = None,
) -> bool:
    """Whether no target has labels to score runs against, in the split asked for or, without one, in any.

    Raises:
      UsageError: see `msda_tf.runs.target.find`.
    """
    found = [runs.read(directory) for directory in directories]
    for name in found[0].config.targets if target is None else (target,):
        manifest = target_module.find(found, data, name=name).manifest
        if split is None and manifest.evaluation_split is not None:
            return False
        if split is not None and not (split in manifest.splits and not manifest.splits[split].labelled):
            return False
    return True


def estimate(
    directories: Sequence[str | pathlib.Path],
    *,
    target: str | None = None,
    data: str | pathlib.Path | None = None,
    split: str | None = None,
    limit: int | None = None,
    merge: str | None = None,
    select: str | None = None,
    serve: str | None = None,
    window: tuple[int, int] | None = None,
    panels: int = 0,
    palette: str = palettes.OWN,
    output: str | pathlib.Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
    on_image: OnImage | None = None,
) -> Estimation:
    """Estimates what runs are worth, and writes `estimate.json` and panels into the first run's directory.

    Args:
      directories: run directories; all branches of those with adaptation are merged.
      target: which of several, or a condition of one; needless if there is one.
      data: another folder of prepared data sets than the first run's own.
      split: of the target; the one it is evaluated on by default, or else the one it is trained on.
      limit: at most this many images, evenly spread over the split.
      merge: one of `msda_tf.inference.merge.RULES`; the runs' own by default.
      select: "last", "best" or "unlabelled" checkpoint; each run's own choice by default.
      serve: "teacher" or "student", for runs that have both; each run's own choice by default.
      window: (height, width) of overlapping windows of the networks' input in which images pass; each run's own by
        default.
      panels: number of images, evenly spread, of which a panel with the branches' disagreement is written to
        `pictures/`.
      palette: in whose colours classes are shown, one of `msda_tf.evaluation.palettes.PALETTES`.
      output: where `estimate.json` is written instead.
      on_progress: called with (images done, number of images).
      on_image: given every image, in order.

    Raises:
      UsageError: see `trained.load` and `msda_tf.runs.target.find`; or the runs have no held-out images to go by.
      MsdaError: the data or a checkpoint is damaged, the results have no place, another process writes panels, or the
        device's memory is too small.
    """
    networks = trained.load(directories, merge=merge, select=select, serve=serve, calibrated=True)
    networks = networks.in_windows(window).in_colours(palette)
    if target is None and len(networks.targets) > 1:
        raise UsageError(f"estimates are of one target: say --target {networks.targets[0]}, or another of the run's")
    run, name = networks.runs[0], target or networks.targets[0]
    networks = networks.centred_on(target_module.adapted_to(run, name))
    inference = networks.inference
    written = pathlib.Path(output) if output else run.paths.estimate
    files.check_place(written)
    unknown = [name for name in inference.branch_names if name not in inference.calibrations]
    if unknown:
        raise UsageError(
            f"the target has no labelled images to score against, and {unknown[0]} was scored on no held-out image of "
            "a source, by which to estimate: train with held_out above 0, or prepare labelled images of the target"
        )
    data_set = target_module.find(networks.runs, data, name=name)
    manifest = data_set.manifest
    data_set.check_classes(networks.classes)
    split = _known(manifest, split)
    count = manifest.splits[split].examples if limit is None else min(limit, manifest.splits[split].examples)
    corrupt = CorruptRecords(limit=0)
    sizes, sureness = resolutions.Counter(manifest.scale), confidence_of(inference)

    def seen(name: str, image: np.ndarray, maps: dict[str, np.ndarray]) -> None:
        sizes.see(image)
        if on_image:
            on_image(name, image, maps, inference.merged)
        drawn.see(name, lambda: _panel(image, maps, networks, sureness))

    writing = lock.hold(run.paths.pictures, "msda-tf evaluate") if panels else contextlib.nullcontext()
    with writing, room_for(manifest):
        drawn = pictures.Panels(run.paths.pictures, number=panels, images=count)
        found = Unlabelled(inference, inference.merges).estimate(
            pipeline.evaluation_images(manifest, split, limit=limit, labelled=False, corrupt=corrupt),
            calibrations=inference.calibrations,
            cells=networks.cells,
            corrupt=corrupt,
            on_image=seen,
            on_progress=lambda done: on_progress(done, count),
        )
    notes = (estimates.NOTE, *_bases(networks), *networks.notes(), *data_set.notes(), *sizes.resolution.notes(name))
    scored_on = data_set.described()
    result = Estimation(found, networks, name, split, count, sizes.resolution, scored_on, tuple(drawn.written), notes)
    made_from = networks.made_from(scored_on).to_json()
    estimates.write(Estimates(name, split, count, found, made_from, sizes.resolution, notes), written)
    return result


def table(found: Estimation) -> str:
    """Plain text: a column for each branch and merge."""
    title = f"Estimated without labels on {found.data}, {found.split}, {found.resolution.of(found.images)}"
    lines = [["", *found.estimates]]
    lines += [[name, *(cell(each) for each in found.estimates.values())] for name, cell in ROWS.items()]
    return aligned(title, lines, found.notes, left=1)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _bases(networks: Trained) -> list[str]:
    """A sentence about branches whose estimates rest on sources that they have seen."""
    seen = [name for name, each in networks.inference.calibrations.items() if each.basis == "seen"]
    if not seen:
        return []
    return [f"{', '.join(seen)}: no source is unseen, and on seen ones branches do better: expect less than estimated"]


def _known(manifest: Manifest, split: str | None) -> str:
    """The split to look at, which need not have labels."""
    split = split or manifest.evaluation_split or manifest.training_split
    if split not in manifest.splits:
        known = ", ".join(manifest.splits)
        raise UsageError(f"split {split!r} of {manifest.name!r} does not exist: there are {known}")
    return split


def _panel(image: np.ndarray, maps: dict[str, np.ndarray], networks: Trained, sureness: Callable) -> np.ndarray:
    """An image, its label maps, and how far to trust them."""
    merged = [maps[branch] for branch in networks.inference.merged]
    return pictures.panel(image, maps, networks.classes, photos=pictures.doubts(image, merged, sureness(image)))
