"""Scores runs on the labelled images of their targets: one pass over a split for all branches and merges."""

import contextlib
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf import files, lock
from msda_tf.config.branches import EQUATION_6, MAX_MERGE
from msda_tf.config.deviations import described
from msda_tf.data import pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.errors import UsageError
from msda_tf.evaluation import metrics, palettes, pictures, protocol, tables
from msda_tf.evaluation import resolution as resolutions
from msda_tf.evaluation.metrics import Metrics
from msda_tf.inference import scoring
from msda_tf.inference.members import Inference
from msda_tf.inference.merge import RULES
from msda_tf.inference.room import room_for
from msda_tf.inference.scoring import Scored
from msda_tf.inference.sureness import confidence_of
from msda_tf.runs import target as target_module
from msda_tf.runs import trained
from msda_tf.runs.target import Target
from msda_tf.runs.trained import Trained

OnImage = Callable[[str, np.ndarray, np.ndarray, dict[str, np.ndarray]], None]
"""Takes an image's name, the image uint8 `[H, W, 3]` RGB, its label uint8 `[H, W]`, and every label map by name."""

ALL_RULES: dict[str, tuple[str, str]] = {
    MAX_MERGE: ("max-logit", "image"),
    "Max Probability": ("max-probability", "image"),
    "Mean Probability": ("mean-probability", "image"),
    "Max Merge at map": ("max-logit", "map"),
    "Max Probability at map": ("max-probability", "map"),
    "Mean Probability at map": ("mean-probability", "map"),
}
"""Name -> (rule, merge_at) of every way to merge: the first is the paper's."""

CALIBRATED_RULES: dict[str, tuple[str, str]] = {
    "Calibrated Probability": ("calibrated-probability", "image"),
    "Weighted Probability": ("weighted-probability", "image"),
    "Class-Weighted Probability": ("class-weighted-probability", "image"),
}
"""Those that go by held-out images of the sources."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
      scored: the confusion matrix of each branch and merge, on each target.
      trained: the networks.
      rules: name -> (rule, merge_at) of each merge among the matrices.
      pictures: the panels that were written.
      notes: what whoever sees the scores must know of weights and data, a sentence each.
    """

    scored: tuple[Metrics, ...]
    trained: Trained
    rules: dict[str, tuple[str, str]]
    pictures: tuple[pathlib.Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> Metrics:
        """Those of the only, or first, target."""
        return self.scored[0]

    @property
    def columns(self) -> list[str]:
        """Of the tables: every branch, Max Merge and, where that is another rule, the paper's."""
        return [name for name in self.metrics.matrices if name not in self.rules or name in (MAX_MERGE, EQUATION_6)]


def evaluate(
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
) -> Evaluation:
    """Scores runs, and writes `metrics.json` and panels into the first run's directory.

    Several targets are scored one by one, each with its own mean; their images are never counted together.

    Args:
      directories: run directories; all branches of those with adaptation are merged.
      target: one of several, or a condition of one ("acdc:night" of "acdc"), to be scored alone; all by default.
      data: another folder of prepared data sets than the first run's own, in which the target may be another one, too.
      split: of each target; the one that the data set is evaluated on by default.
      limit: at most this many images of each target, evenly spread over the split.
      merge: one of `RULES`, or "all" for every rule, on the image and on the networks' maps; the runs' own by default.
        Beside another rule than the paper's, the paper's is scored, too.
      select: "last" or "best" checkpoint; each run's own choice by default.
      serve: "teacher" or "student", for runs that have both; each run's own choice by default.
      window: (height, width) of overlapping windows of the networks' input in which images pass; each run's own by
        default.
      panels: number of images of each target, evenly spread over those scored, of which a panel is written to
        `pictures/`; with several targets to `pictures/TARGET/`.
      palette: in whose colours classes are shown, one of `msda_tf.evaluation.palettes.PALETTES`.
      output: where `metrics.json` is written instead.
      on_progress: called with (images done, number of images).
      on_image: given every scored image, in order; it is called in another thread. With several targets, an image's
        name begins with its target's.

    Raises:
      UsageError: see `trained.load` and `msda_tf.runs.target.find`; or the target has other classes, or no labels.
      MsdaError: the data or a checkpoint is damaged, the results have no place, another process writes panels, or the
        device's memory is too small.
    """
    every = merge == "all"
    networks = trained.load(
        directories, merge="max-logit" if every else merge, select=select, serve=serve, calibrated=every
    )
    networks = networks.in_windows(window).in_colours(palette)
    run = networks.runs[0]
    place = pathlib.Path(output) if output else run.paths.metrics
    files.check_place(place)
    names = networks.targets if target is None else (target,)
    means_of = {name: target_module.adapted_to(run, name) for name in names}
    found = {name: target_module.find(networks.runs, data, name=name) for name in names}
    unlabelled = [name for name, data_set in found.items() if split is None and not data_set.manifest.evaluation_split]
    if len(unlabelled) < len(found):
        found = {name: data_set for name, data_set in found.items() if name not in unlabelled}
    splits = {name: _check(data_set, split, networks) for name, data_set in found.items()}
    counts = {name: data_set.manifest.splits[splits[name]].examples for name, data_set in found.items()}
    if limit is not None:
        counts = {name: min(limit, count) for name, count in counts.items()}
    rules = _rules(networks.inference, every=every)
    scored, written, done = [], [], 0
    with lock.hold(run.paths.pictures, "msda-tf evaluate") if panels else contextlib.nullcontext():
        for name, data_set in found.items():
            folder = run.paths.pictures if len(found) == 1 else run.paths.pictures / name.replace(":", "-")
            drawn = pictures.Panels(folder, number=panels, images=counts[name])
            sizes = resolutions.Counter(data_set.manifest.scale)
            matrices = _score(
                networks.centred_on(means_of[name]),
                data_set.manifest,
                splits[name],
                limit=limit,
                rules=rules,
                drawn=drawn,
                sizes=sizes,
                on_image=on_image,
                prefix="" if len(found) == 1 else f"{name}/",
                on_progress=lambda images, before=done: on_progress(before + images, sum(counts.values())),
            )
            made_from = networks.made_from(data_set.described()).to_json()
            scored.append(
                Metrics(name, splits[name], counts[name], networks.classes.names, matrices, made_from, sizes.resolution)
            )
            written += drawn.written
            done += counts[name]
    metrics.write_all(scored, place)
    merges = {name: rule for name, rule in rules.items() if name in scored[0].matrices}
    notes = [*networks.notes(), *(note for data_set in found.values() for note in data_set.notes())]
    notes += [note for each in scored for note in each.resolution.notes(each.target)]
    notes += [note for each in scored for note in _chosen_by(each, found[each.target], networks)]
    notes += [f"{name} has no labelled images and was not scored" for name in unlabelled if name not in found]
    notes += [note for each in scored for note in _never_predicted(each)]
    return Evaluation(tuple(scored), networks, merges, tuple(written), tuple(notes))


def _chosen_by(scored: Metrics, data_set: Target, networks: Trained) -> list[str]:
    """Says how many of the scored images had a say in which checkpoint is scored: they flatter it."""
    asked = [
        run.config.evaluate_images
        for run, checkpoint in zip(networks.run_of, networks.checkpoints, strict=True)
        if checkpoint.selected == "best"
    ]
    if not asked or not data_set.as_trained or scored.split != data_set.manifest.evaluation_split:
        return []
    most = min(max(asked), data_set.manifest.splits[scored.split].examples)
    return [
        f"the checkpoint was chosen by labels of {most} images of {scored.target}, {scored.split}, which are among "
        "those scored: on other images expect less"
    ]


def _never_predicted(found: Metrics) -> list[str]:
    """A sentence on the classes that the labels show and the merge, or the only branch, gives to no pixel at all."""
    which = MAX_MERGE if MAX_MERGE in found.matrices else next(iter(found.matrices))
    matrix = found.matrices[which]
    shown, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    lost = [name for number, name in enumerate(found.class_names) if shown[number] and not predicted[number]]
    if not lost:
        return []
    return [f"{which} gives no pixel to {', '.join(lost)}, which the labels of {found.target} show"]


def _rules(inference: Inference, *, every: bool) -> dict[str, tuple[str, str]]:
    """Name -> (rule, merge_at) of the merges to score."""
    if every:
        return ALL_RULES | (CALIBRATED_RULES if set(inference.merged) <= set(inference.calibrations) else {})
    return inference.merges


def _score(
    networks, manifest, split, *, limit, rules, drawn, sizes, on_image, prefix, on_progress
) -> dict[str, np.ndarray]:
    """Confusion matrices, int64 `[C, C + 1]`, of every branch and merge on one target."""
    inference = networks.inference
    label_maps = tf.function(
        lambda images: inference.label_maps(images, rules=rules),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
        autograph=False,
    )
    shown, sureness = {MAX_MERGE, *inference.branch_names}, confidence_of(inference)

    def on_scored(scored: Scored):
        sizes.see(scored.label)
        if on_image:
            on_image(f"{prefix}{scored.name}", scored.image, scored.label, scored.maps)
        drawn.see(scored.name, lambda: _panel(scored, networks, shown, sureness))

    corrupt = CorruptRecords(limit=0)
    images = pipeline.evaluation_images(manifest, split, limit=limit, corrupt=corrupt)
    with room_for(manifest):
        return scoring.score(
            label_maps,
            images,
            classes=len(manifest.classes),
            corrupt=corrupt,
            on_scored=on_scored,
            on_progress=on_progress,
        )


def grids(
    evaluation: Evaluation, *, names: tuple[str, ...] | None = None, rule: str = "mean-of-ious"
) -> list[tables.Grid]:
    """The paper's Table 1 row and Table 2 rows, and a table of the merge rules if there are several.

    Of several targets, the table of averages comes first, then the tables of each.

    Args:
      evaluation: of `evaluate`.
      names: the classes to average over; all by default.
      rule: for a subset, one of `msda_tf.evaluation.protocol.SUBSET_RULES`.
    """
    notes = (*legend(evaluation), *evaluation.notes)
    several = len(evaluation.scored) > 1
    result = [_average_table(evaluation, names, rule, notes)] if several else []
    for found in evaluation.scored:
        result += _grids(found, evaluation, names, rule, () if several else notes)
    return result


def _grids(found: Metrics, evaluation: Evaluation, names, rule, notes) -> list[tables.Grid]:
    """The tables of one target."""
    classes = evaluation.trained.classes
    where = f"{found.target}, {found.split}, {found.resolution.of(found.images)}"
    columns = {name: found.matrices[name] for name in evaluation.columns}
    means = tables.mean_iou_table(columns, classes, title=f"Mean IoU on {where}", names=names, rule=rule)
    result = [
        tables.Grid(means.title, means.columns, means.rows, (*means.notes, *notes)),
        tables.class_iou_table(columns, classes, title=f"IoU of each class on {where}"),
    ]
    if set(evaluation.rules) - {MAX_MERGE, EQUATION_6}:
        title = f"Merge rules: {means.rows[0][0]}, on {where}"
        result.append(_merge_table(found, evaluation, title, names, rule))
    return result


def _average_table(evaluation: Evaluation, names, rule, notes) -> tables.Grid:
    """Of each column, the mean over the targets of its mean IoU."""
    classes, found = evaluation.trained.classes, evaluation.scored
    means = {
        column: metrics.mean([protocol.score(each.matrices[column], classes, names, rule) for each in found])
        for column in evaluation.columns
    }
    title = f"Mean IoU, average of {', '.join(each.target for each in found)}"
    return tables.average_table(means, title=title, classes=len(names or classes), notes=notes)


def _merge_table(found: Metrics, evaluation: Evaluation, title: str, names, rule) -> tables.Grid:
    """One row for each merge rule, one column for each place to merge at."""
    scores = {
        key: 100 * protocol.score(found.matrices[name], evaluation.trained.classes, names, rule).miou_all
        for name, key in evaluation.rules.items()
    }
    known = [each for each in RULES if (each, "image") in scores]
    rows = tuple((each, (scores[each, "image"], scores.get((each, "map")))) for each in known)
    notes = ("map: merged on the networks' small maps, then up-sampled; max-logit on the image is the paper's",)
    return tables.Grid(title, ("image", "map"), rows, notes)


def legend(evaluation: Evaluation) -> list[str]:
    """What each column of the tables is, one sentence for each."""
    networks = evaluation.trained
    lines = [f"{name}: trained on {sources}" for name, sources in networks.training_sets.items()]
    if MAX_MERGE in evaluation.rules:
        rule, merge_at = evaluation.rules[MAX_MERGE]
        where = "for each pixel of the image" if merge_at == "image" else "on the networks' maps, then up-sampled"
        lines.append(f"{MAX_MERGE}: {rule} of {', '.join(networks.inference.merged)}, {where}")
    if EQUATION_6 in evaluation.rules:
        lines.append(f"{EQUATION_6}: the paper's merge (eq. 6) of the same branches")
    for run in networks.runs:
        name = f"{run.directory.resolve().name}: " if len(networks.runs) > 1 else ""
        lines.append(f"{name}trained with {described(run.config)}")
    return lines


def _check(data_set: Target, split: str | None, networks: Trained) -> str:
    """The split to score; refuses data that these networks cannot be scored on."""
    manifest = data_set.manifest
    data_set.check_classes(networks.classes)
    if split is None and manifest.evaluation_split is None:
        raise UsageError(f"data set {manifest.name!r} has no labelled images: there is nothing to score against")
    split = split or manifest.evaluation_split
    labelled = [name for name, value in manifest.splits.items() if value.labelled]
    if split not in labelled:
        lacks = "has no labels" if split in manifest.splits else "does not exist"
        raise UsageError(
            f"split {split!r} of {manifest.name!r} {lacks}: with labels there are {', '.join(labelled) or 'none'}"
        )
    return split


def _panel(scored: Scored, networks: Trained, shown: set[str], sureness: Callable) -> np.ndarray:
    """An image, its ground truth, the label maps that are shown, and how far to trust them."""
    named = {"Ground truth": scored.label}
    for branch, labels in scored.maps.items():
        if branch in shown:
            sources = networks.training_sets.get(branch)
            named[f"{branch}: {sources}" if sources else branch] = labels
    merged = [scored.maps[branch] for branch in networks.inference.merged]
    photos = pictures.doubts(scored.image, merged, sureness(scored.image))
    return pictures.panel(scored.image, named, networks.classes, photos=photos)
