"""From a confusion matrix to the mean IoU: over which classes, by which rule.

Two rules for a class that is absent:

- `miou_all` (the paper's): the mean over all classes of the protocol; a class without pixels counts 0. Only so do
  the paper's Table 2 rows average to its Table 1.
- `miou_present` (Cityscapes'): classes that are neither in the ground truth nor predicted are left out. A class that
  is absent from the ground truth but predicted somewhere scores 0 and stays in the mean.

Two ways to score a subset of the classes (16 or 13 of the 19):

- `"mean-of-ious"`, the usual one: the mean of those classes' IoUs as they are. A pixel of another class that was
  predicted as one of the subset still counts against it.
- `"drop-pixels"` (CAG-UDA's): pixels whose true class is outside the subset are ignored. What the network predicts
  on the rest is left alone: a pixel predicted as a class outside the subset is missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.evaluation.confusion import class_iou
from msda_tf.labels import PROTOCOLS, ClassList

SUBSET_RULES = ("mean-of-ious", "drop-pixels")


@dataclass(frozen=True)
class Scores:
    """Scores of one branch under one protocol, as fractions 0-1.

    Attributes:
      iou: class name -> IoU; None for a class neither in the ground truth nor predicted.
      miou_all: mean over all classes, an absent one counts 0.
      miou_present: mean without absent classes; None if all are absent.
    """

    iou: dict[str, float | None]
    miou_all: float
    miou_present: float | None


def subset(text: str, classes: ClassList) -> tuple[str, ...]:
    """Class names from what a user typed: a protocol ("19", "16", "13"), "all", or names separated by commas.

    Raises:
      UsageError: a name is not among `classes`, or given twice.
    """
    if text == "all":
        return classes.names
    names = PROTOCOLS.get(text) or tuple(name.strip() for name in text.split(",") if name.strip())
    _indices(names, classes)
    return names


def score(
    matrix: np.ndarray, classes: ClassList, names: Sequence[str] | None = None, rule: str = "mean-of-ious"
) -> Scores:
    """Scores a confusion matrix.

    Args:
      matrix: int64 `[C, C + 1]`.
      classes: the C classes.
      names: the classes to average over; all by default.
      rule: for a subset, one of `SUBSET_RULES`.

    Raises:
      UsageError: a name is not among `classes`, or given twice.
    """
    if rule not in SUBSET_RULES:
        raise ValueError(f"unknown rule {rule!r}: one of {', '.join(SUBSET_RULES)}")
    if len(matrix) != len(classes):
        raise ValueError(f"a matrix of {len(matrix)} classes for a list of {len(classes)}")
    names = classes.names if names is None else tuple(names)
    indices = _indices(names, classes)
    iou = class_iou(drop_pixels(matrix, indices)) if rule == "drop-pixels" else class_iou(matrix)[indices]
    present = iou[~np.isnan(iou)]
    return Scores(
        iou={name: None if np.isnan(value) else float(value) for name, value in zip(names, iou, strict=True)},
        miou_all=float(np.nan_to_num(iou).mean()),
        miou_present=float(present.mean()) if present.size else None,
    )


def drop_pixels(matrix: np.ndarray, indices: Sequence[int]) -> np.ndarray:
    """The matrix that counting gives if all other true classes are ignored and all other predictions are no class.

    Args:
      matrix: int64 `[C, C + 1]`.
      indices: K trainIds.

    Returns:
      int64 `[K, K + 1]`, in the order of `indices`.
    """
    rows = matrix[list(indices)]
    kept = rows[:, list(indices)]
    return np.concatenate([kept, rows.sum(axis=1, keepdims=True) - kept.sum(axis=1, keepdims=True)], axis=1)


def _indices(names: Sequence[str], classes: ClassList) -> list[int]:
    unknown = [name for name in names if name not in classes.names]
    if unknown or not names:
        known = ", ".join(classes.names)
        raise UsageError(f"no class {', '.join(map(repr, unknown)) or 'named'}: the data set has {known}")
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if list(names).count(name) > 1})
        raise UsageError(f"class {', '.join(map(repr, repeated))} given twice: name each class once")
    return [classes.names.index(name) for name in names]
