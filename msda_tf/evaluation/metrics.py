"""`metrics.json`: what `evaluate` leaves in a run directory.

    {"target": "cityscapes", "split": "val", "images": 500,
     "resolution": {"sizes": {"2048x1024": 500}, "prepared_at": 1.0},
     "branches": {"S1": {"miou_19": 0.41, "miou_present": 0.43,
                         "iou": {"road": 0.87, ..., "train": null},
                         "confusion": [[...], ...]},
                  ..., "Max Merge": {...}}}

Beside them, `made_from` says which weights were scored on which data, and how they were merged (see
`msda_tf.runs.made_from`), and `resolution` at what size (see `msda_tf.evaluation.resolution`).

Of a run with several targets, each has such an object under `targets`, by its name, and `average` holds the mean of
their scores, every target counting alike; their matrices are never added up:

    {"targets": {"acdc": {"target": "acdc", ...}, "dark_zurich": {...}},
     "average": {"S1": {"miou_19": 0.35, "miou_present": 0.37}, ...}}

All scores are fractions 0-1 (tables print percent). `miou_19` is the mean over all classes, an absent one counting 0,
under this key for a custom class list of any length too; `miou_present` leaves absent classes out and is null if all
are absent. An IoU is null if the class is neither in the ground truth nor predicted. `confusion` has one row per true
class and one column per predicted class, in trainId order; pixels predicted as no class, which a network never does,
are counted per true class under the additional key `no_class`, which is there only if there are any.
"""

import pathlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from msda_tf import files, state_file
from msda_tf.errors import MsdaError
from msda_tf.evaluation import resolution
from msda_tf.evaluation.protocol import Scores, score
from msda_tf.evaluation.resolution import Resolution
from msda_tf.labels import ClassList
from msda_tf.state_file import Damaged


@dataclass(frozen=True)
class Metrics:
    """The content of one `metrics.json`.

    Attributes:
      target: name of the data set.
      split: its split.
      images: number of images scored.
      class_names: in trainId order.
      matrices: branch name -> int64 `[C, C + 1]`, in the order of the columns of the tables.
      made_from: which weights were scored on which data, and how they were merged (JSON-ready).
      resolution: at what size.
    """

    target: str
    split: str
    images: int
    class_names: tuple[str, ...]
    matrices: dict[str, np.ndarray]
    made_from: dict = field(default_factory=dict)
    resolution: Resolution = Resolution()

    def scores(self, branch: str) -> Scores:
        """A branch's scores over all classes."""
        names = self.class_names
        return score(self.matrices[branch], ClassList(names=names, colors=((0, 0, 0),) * len(names)))


def to_json(metrics: Metrics) -> dict:
    """JSON-ready dictionaries in the form above."""
    branches = {}
    for branch, matrix in metrics.matrices.items():
        scores = metrics.scores(branch)
        branches[branch] = {
            "miou_19": scores.miou_all,
            "miou_present": scores.miou_present,
            "iou": scores.iou,
            "confusion": matrix[:, :-1].tolist(),
        }
        if matrix[:, -1].any():
            branches[branch]["no_class"] = matrix[:, -1].tolist()
    made_from = {"made_from": metrics.made_from} if metrics.made_from else {}
    size = {"resolution": metrics.resolution.to_json()} if metrics.resolution.sizes else {}
    return {
        "target": metrics.target,
        "split": metrics.split,
        "images": metrics.images,
        **size,
        **made_from,
        "branches": branches,
    }


@dataclass(frozen=True)
class Mean:
    """A branch's scores on several targets, averaged: each target counts alike.

    Attributes:
      miou_all: over all classes.
      miou_present: without absent classes; over the targets that have one, None if none has.
    """

    miou_all: float
    miou_present: float | None


def average(scored: Sequence[Metrics], branch: str) -> Mean:
    """The mean of a branch's scores on each target."""
    return mean([each.scores(branch) for each in scored])


def mean(scores: Sequence[Scores]) -> Mean:
    """Of one branch's scores on each target."""
    present = [each.miou_present for each in scores if each.miou_present is not None]
    return Mean(statistics.fmean(each.miou_all for each in scores), statistics.fmean(present) if present else None)


def write(metrics: Metrics, path: pathlib.Path) -> None:
    """Writes `path` atomically."""
    write_all([metrics], path)


def write_all(scored: Sequence[Metrics], path: pathlib.Path) -> None:
    """Writes the scores on one target or several atomically."""
    if len(scored) == 1:
        value = to_json(scored[0])
    else:
        means = {branch: average(scored, branch) for branch in scored[0].matrices}
        value = {
            "targets": {each.target: to_json(each) for each in scored},
            "average": {n: {"miou_19": m.miou_all, "miou_present": m.miou_present} for n, m in means.items()},
        }
    files.write_json(path, value)


def read(path: pathlib.Path) -> Metrics:
    """The scores on one target; see `read_all`.

    Raises:
      MsdaError: the file is missing or damaged, or holds the scores on several targets.
    """
    first, *others = read_all(path)
    if others:
        raise MsdaError(f"{path} holds the scores on several targets: run msda-tf evaluate --target with one of them")
    return first


def read_all(path: pathlib.Path) -> tuple[Metrics, ...]:
    """Reads what `write_all` wrote; the scores are not read but follow from the matrices.

    Returns:
      the scores on each target, one at least; all have the same branches.

    Raises:
      MsdaError: the file is missing or damaged.
    """
    try:
        value = state_file.load(pathlib.Path(path))
    except FileNotFoundError:
        raise MsdaError(f"{path} does not exist: run msda-tf evaluate first") from None
    except Damaged as error:
        raise MsdaError(f"{path} cannot be read ({error}): run msda-tf evaluate again") from None
    try:
        if "targets" not in value:
            return (_from_json(value),)
        below = state_file.mapping(value, "targets")
        found = tuple(_from_json(state_file.mapping(below, name)) for name in below)
        if not found or any((*each.matrices,) != (*found[0].matrices,) for each in found):
            raise Damaged("targets: expected one at least, all with the same branches")
        return found
    except Damaged as error:
        raise MsdaError(f"{path} is damaged ({error}): run msda-tf evaluate again") from None


def _from_json(value: dict) -> Metrics:
    """The scores on one target; raises Damaged."""
    branches = state_file.mapping(value, "branches")
    entries = {branch: state_file.mapping(branches, branch) for branch in branches}
    classes = {branch: tuple(state_file.mapping(entry, "iou")) for branch, entry in entries.items()}
    if len(set(classes.values())) > 1:
        raise Damaged("its branches have different classes")
    return Metrics(
        target=state_file.text(value, "target"),
        split=state_file.text(value, "split"),
        images=state_file.whole(value, "images"),
        class_names=next(iter(classes.values()), ()),
        matrices={branch: _matrix(entry, len(classes[branch])) for branch, entry in entries.items()},
        made_from=state_file.mapping(value, "made_from") if "made_from" in value else {},
        resolution=resolution.from_json(value),
    )


def _matrix(entry: dict, classes: int) -> np.ndarray:
    """int64 `[C, C + 1]` of a branch; raises Damaged."""
    rows = [*entry["confusion"]] if isinstance(state_file.get(entry, "confusion"), list) else []
    columns = entry.get("no_class", [0] * classes)
    if not classes or len(rows) != classes or not all(_are_counts(row, classes) for row in [*rows, columns]):
        raise Damaged(f"confusion: expected {classes} x {classes} counts")
    return np.concatenate([np.array(rows, np.int64), np.array(columns, np.int64)[:, None]], axis=1)


def _are_counts(row, count: int) -> bool:
    return isinstance(row, list) and len(row) == count and all(type(n) is int and 0 <= n < 1 << 53 for n in row)
