"""Scores runs on the target's labelled images: one pass over a split for all branches and merges."""

import contextlib
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf import files, lock
from msda_tf.config.branches import MAX_MERGE
from msda_tf.config.deviations import described
from msda_tf.data import pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import metrics, pictures, protocol, tables
from msda_tf.evaluation.metrics import Metrics
from msda_tf.inference import scoring
from msda_tf.inference.merge import RULES
from msda_tf.inference.scoring import Scored
from msda_tf.runs import target, trained
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

EQUATION_6 = "Max Logit"
"""The name of the paper's merge beside a Max Merge of another rule."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
      metrics: the confusion matrix of each branch and merge.
      trained: the networks.
      rules: name -> (rule, merge_at) of each merge among `metrics.matrices`.
      pictures: the panels that were written.
      notes: what whoever sees the scores must know of weights and data, a sentence each.
    """

    metrics: Metrics
    trained: Trained
    rules: dict[str, tuple[str, str]]
    pictures: tuple[pathlib.Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Of the tables: every branch, Max Merge and, where that is another rule, the paper's."""
        return [name for name in self.metrics.matrices if name not in self.rules or name in (MAX_MERGE, EQUATION_6)]


def evaluate(
    directories: Sequence[str | pathlib.Path],
    *,
    data: str | pathlib.Path | None = None,
    split: str | None = None,
    limit: int | None = None,
    merge: str | None = None,
    select: str | None = None,
    serve: str | None = None,
    panels: int = 0,
    output: str | pathlib.Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
    on_image: OnImage | None = None,
) -> Evaluation:
    """Scores runs, and writes `metrics.json` and panels into the first run's directory.

    Args:
      directories: run directories; all branches of those with adaptation are merged.
      data: another folder of prepared data sets than the first run's own, in which the target may be another one, too.
      split: of the target; the one that the data set is evaluated on by default.
      limit: at most this many images, evenly spread over the split.
      merge: one of `RULES`, or "all" for every rule, on the image and on the networks' maps; the runs' own by default.
        Beside another rule than the paper's, the paper's is scored, too.
      select: "last" or "best" checkpoint; each run's own choice by default.
      serve: "teacher" or "student", for runs that have both; each run's own choice by default.
      panels: number of images, evenly spread over those scored, of which a panel is written to `pictures/`.
      output: where `metrics.json` is written instead.
      on_progress: called with (images done, number of images).
      on_image: given every scored image, in order; it is called in another thread.

    Raises:
      UsageError: see `trained.load` and `msda_tf.runs.target.find`; or the target has other classes, or no labels.
      MsdaError: the data or a checkpoint is damaged, the results have no place, another process writes panels, or the
        device's memory is too small.
    """
    every = merge == "all"
    networks = trained.load(
        directories, merge="max-logit" if every else merge, select=select, serve=serve, calibrated=every
    )
    run = networks.runs[0]
    written = pathlib.Path(output) if output else run.paths.metrics
    files.check_place(written)
    data_set = target.find(networks.runs, data)
    manifest = data_set.manifest
    split = _check(manifest, split, networks)
    inference = networks.inference
    if every:
        rules = ALL_RULES | (CALIBRATED_RULES if set(inference.merged) <= set(inference.calibrations) else {})
    else:
        rules = {MAX_MERGE: (inference.rule, inference.merge_at)}
        if inference.rule != "max-logit":
            rules[EQUATION_6] = ("max-logit", "image")
    count = manifest.splits[split].examples if limit is None else min(limit, manifest.splits[split].examples)
    panels = min(panels, count)
    draw = _Panels(run.paths.pictures, networks, {index * count // panels for index in range(panels)})

    label_maps = tf.function(
        lambda images: inference.label_maps(images, rules=rules),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
        autograph=False,
    )
    shown = {MAX_MERGE, *inference.branch_names}

    def on_scored(scored: Scored):
        if on_image:
            on_image(scored.name, scored.image, scored.label, scored.maps)
        draw(scored, shown)

    corrupt = CorruptRecords(limit=0)
    images = pipeline.evaluation_images(manifest, split, limit=limit, corrupt=corrupt)
    try:
        with lock.hold(run.paths.pictures, "msda-tf evaluate") if panels else contextlib.nullcontext():
            matrices = scoring.score(
                label_maps,
                images,
                classes=len(networks.classes),
                corrupt=corrupt,
                on_scored=on_scored,
                on_progress=lambda done: on_progress(done, count),
            )
    except tf.errors.ResourceExhaustedError as error:
        raise MsdaError(
            f"out of memory while scoring images of {manifest.width}x{manifest.height} "
            f"({error.message.splitlines()[0][:120]}): evaluate fewer runs at once"
        ) from None
    made_from = networks.made_from(data_set.described()).to_json()
    result = Metrics(networks.target, split, count, networks.classes.names, matrices, made_from)
    metrics.write(result, written)
    merges = {name: rule for name, rule in rules.items() if name in matrices}
    return Evaluation(result, networks, merges, tuple(draw.written), (*networks.notes(), *data_set.notes()))


def grids(
    evaluation: Evaluation, *, names: tuple[str, ...] | None = None, rule: str = "mean-of-ious"
) -> list[tables.Grid]:
    """The paper's Table 1 row and Table 2 rows, and a table of the merge rules if there are several.

    Args:
      evaluation: of `evaluate`.
      names: the classes to average over; all by default.
      rule: for a subset, one of `msda_tf.evaluation.protocol.SUBSET_RULES`.
    """
    found, networks = evaluation.metrics, evaluation.trained
    classes = networks.classes
    where = f"{found.target}, {found.split}, {found.images} images"
    columns = {name: found.matrices[name] for name in evaluation.columns}
    means = tables.mean_iou_table(columns, classes, title=f"Mean IoU on {where}", names=names, rule=rule)
    notes = (*means.notes, *legend(evaluation), *evaluation.notes)
    result = [
        tables.Grid(means.title, means.columns, means.rows, notes),
        tables.class_iou_table(columns, classes, title=f"IoU of each class on {where}"),
    ]
    if set(evaluation.rules) - {MAX_MERGE, EQUATION_6}:
        result.append(_merge_table(evaluation, f"Merge rules: {means.rows[0][0]}, on {where}", names, rule))
    return result


def _merge_table(evaluation: Evaluation, title: str, names, rule) -> tables.Grid:
    """One row for each merge rule, one column for each place to merge at."""
    scores = {
        key: 100 * protocol.score(evaluation.metrics.matrices[name], evaluation.trained.classes, names, rule).miou_all
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


def _check(manifest: Manifest, split: str | None, networks: Trained) -> str:
    """The split to score; refuses data that these networks cannot be scored on."""
    if manifest.classes.names != networks.classes.names:
        raise UsageError(
            f"data set {manifest.name!r} has {len(manifest.classes)} classes and the run {len(networks.classes)}, or "
            "they are named differently: evaluate on the data that the run was trained for (--data)"
        )
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


class _Panels:
    """Writes the panels of some images."""

    def __init__(self, directory: pathlib.Path, networks: Trained, chosen: set[int]):
        self.written: list[pathlib.Path] = []
        self._directory, self._networks, self._chosen, self._number = directory, networks, chosen, 0

    def __call__(self, scored: Scored, shown: set[str]) -> None:
        number, self._number = self._number, self._number + 1
        if number not in self._chosen:
            return
        named = {"Ground truth": scored.label}
        for branch, labels in scored.maps.items():
            if branch in shown:
                sources = self._networks.training_sets.get(branch)
                named[f"{branch}: {sources}" if sources else branch] = labels
        path = self._directory / f"{number:05d}-{pathlib.PurePosixPath(scored.name).stem}.png"
        pictures.write_png(path, pictures.panel(scored.image, named, self._networks.classes))
        self.written.append(path)
