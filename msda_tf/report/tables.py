"""What the report's tables hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msda_tf.config.branches import NO_ADAPT, S_ALL
from msda_tf.evaluate import Evaluation
from msda_tf.evaluation import metrics, protocol
from msda_tf.evaluation.protocol import Scores
from msda_tf.evaluation.tables import best
from msda_tf.labels import CITYSCAPES_CLASSES, PROTOCOLS


def headline(scores: dict[str, Scores], better: str) -> str:
    """The result in a sentence: the column `better` against No Adapt and S-All, and the best one if it is another."""
    own = scores[better].miou_all
    parts = [f"{better} reaches {100 * own:.2f} % mean IoU over {len(scores[better].iou)} classes"]
    compared = [f"{_points(own - each)} {_relation(own - each)} {name}" for name, each in _others(scores, better)]
    if compared:
        parts.append(", ".join(compared))
    winner = max(scores, key=lambda name: scores[name].miou_all)
    if round(scores[winner].miou_all, 4) > round(own, 4):
        parts.append(f"the best column is {winner} with {100 * scores[winner].miou_all:.2f} %")
    return "; ".join(parts) + "."


def _others(scores, better):
    return [(n, scores[n].miou_all) for n in (NO_ADAPT, S_ALL) if n in scores and n != better]


def _points(difference: float) -> str:
    return f"{abs(100 * difference):.2f} points"


def _relation(difference: float) -> str:
    return "over" if difference >= 0 else "under"


@dataclass(frozen=True)
class Means:
    """The table of means: a row for each branch.

    Attributes:
      rules: name and explanation of each mean.
      bases: columns that are subtracted from the first mean.
      rows: (branch, its trained sets, (value, whether best) of each rule, difference to each base).
    """

    rules: list[tuple[str, str]]
    bases: list[str]
    rows: list[tuple]


def means(evaluation: Evaluation, matrices: dict[str, np.ndarray], scores: dict[str, Scores], better: str) -> Means:
    """By both rules for absent classes and, of the 19 classes, for the subsets that the literature scores.

    Args:
      evaluation: of `msda_tf.evaluate.evaluate`.
      matrices: int64 `[C, C + 1]` of each column, on one target.
      scores: of each column.
      better: the column that others are compared with.
    """
    classes = evaluation.trained.classes
    rules = [
        (f"all {len(classes)}", "all classes, an absent one counts 0: the paper's rule"),
        ("present", "without classes that are neither in the labels nor predicted: Cityscapes' rule"),
    ]
    values = [[each.miou_all for each in scores.values()], [each.miou_present for each in scores.values()]]
    if classes.names == CITYSCAPES_CLASSES.names:
        for count, why in (("16", "the classes that SYNTHIA has"), ("13", "those that AdaptSegNet scores for SYNTHIA")):
            rules.append((count, f"{why}, an absent one counts 0"))
            values.append([protocol.score(matrices[name], classes, PROTOCOLS[count]).miou_all for name in scores])
    cells = zip(*map(_marked, values), strict=True)
    bases = _others(scores, better)
    rows = []
    for (name, own), row in zip(scores.items(), cells, strict=True):
        differences = [None if base == name else own.miou_all - value for base, value in bases]
        rows.append((name, evaluation.trained.training_sets.get(name, ""), row, differences))
    return Means(rules, [name for name, _ in bases], rows)


def _marked(values: list[float | None]) -> list[tuple[float | None, bool]]:
    """Each value of a row, and whether it is the best."""
    return list(zip(values, best([None if value is None else 100 * value for value in values]), strict=True))


def averages(evaluation: Evaluation) -> list[tuple]:
    """Of several targets, a row for each branch: (branch, its trained sets, cells as in `Means`).

    The cells: the average over all classes, that over present ones, and over all classes the mean of each target.
    """
    columns, found = evaluation.columns, evaluation.scored
    average = [metrics.average(found, name) for name in columns]
    values = [[each.miou_all for each in average], [each.miou_present for each in average]]
    values += [[each.scores(name).miou_all for name in columns] for each in found]
    cells = zip(*map(_marked, values), strict=True)
    sets = evaluation.trained.training_sets
    return [(name, sets.get(name, ""), row) for name, row in zip(columns, cells, strict=True)]


def class_rows(
    evaluation: Evaluation, matrix: np.ndarray, scores: dict[str, Scores], better: str, than: str | None
) -> list[dict]:
    """Of each class: name, CSS colour, share of the labelled pixels, cells as in `Means`, `better` less `than`.

    `matrix` is the confusion matrix `[C, C + 1]` of any column: its rows have the labelled pixels.
    """
    pixels = matrix.sum(axis=1)
    rows = []
    for index, name in enumerate(evaluation.trained.classes.names):
        values = [each.iou[name] for each in scores.values()]
        new, old = scores[better].iou[name], scores[than].iou[name] if than else None
        rows.append(
            {
                "name": name,
                "color": "#{:02x}{:02x}{:02x}".format(*evaluation.trained.classes.colors[index]),
                "share": pixels[index] / max(pixels.sum(), 1),
                "cells": _marked(values),
                "difference": None if new is None or old is None else new - old,
            }
        )
    return rows


def confusions(matrix: np.ndarray, names: Sequence[str], count: int = 6) -> list[tuple[str, str, float]]:
    """The largest (true class, predicted class, share of the true class's pixels), of classes with 0.1 % of all pixels.

    Args:
      matrix: int64 `[C, C + 1]`.
      names: C class names.
      count: at most so many.
    """
    pixels = matrix.sum(axis=1)
    shares = matrix[:, : len(names)] / np.maximum(pixels, 1)[:, None]
    np.fill_diagonal(shares, 0)
    shares[pixels < 0.001 * pixels.sum()] = 0
    order = np.argsort(-shares, axis=None, kind="stable")[:count]
    pairs = [np.unravel_index(index, shares.shape) for index in order]
    return [(names[row], names[column], float(shares[row, column])) for row, column in pairs if shares[row, column]]
