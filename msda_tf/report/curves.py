"""Training curves from the log of each network."""

from dataclasses import dataclass

import numpy as np

from msda_tf.config.branches import MAX_MERGE
from msda_tf.methods import health
from msda_tf.runs.trained import Trained
from msda_tf.training import log
from msda_tf.training.folder import TrainingFolder

MOST_POINTS = 200
"""Of a curve: more are averaged in equal parts of the training."""

KINDS = {
    "seg": "Segmentation loss",
    "adv": "Adversarial loss",
    "mix": "Loss of mixed images",
    "masked": "Loss of masked images",
    "disc": "Discriminator loss",
    "disc_accuracy": "Discriminator accuracy",
    "miou": "Mean IoU while training",
    "estimate": "Estimated mean IoU while training, without labels",
}
"""First part of a metric's name -> the title of its chart."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
      kind: key of `KINDS`.
      branch: shown name of the branch.
      level: "feature" or "output"; of scores, which of several targets, empty for their average and for a single one.
      steps, values: float `[N]` each.
    """

    kind: str
    branch: str
    level: str
    steps: np.ndarray
    values: np.ndarray


def read(networks: Trained) -> list[Curve]:
    """The curves of every network, in the order of the tables' columns.

    Raises:
      MsdaError: a log is damaged.
    """
    found = []
    for checkpoint, member in zip(networks.checkpoints, networks.inference.members, strict=True):
        own = {own: shown for shown, own in member.branches.items()}
        # During training, each network merges its own branches only.
        own[MAX_MERGE] = " + ".join(member.branches) + " merged"
        found += _curves(log.read(TrainingFolder(checkpoint.network).log), own)
    return found


def warnings(networks: Trained) -> list[str]:
    """What is out of balance in the trainings: see `msda_tf.methods.health`."""
    found = []
    for checkpoint in networks.checkpoints:
        rows = log.read(TrainingFolder(checkpoint.network).log)
        found += [f"{checkpoint.network.name}: {line}" for line in health.warnings(rows)]
    return found


def _curves(rows: list[log.Row], shown: dict[str, str]) -> list[Curve]:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.values.items():
            if name.partition("/")[0] in KINDS and value is not None:
                series.setdefault(name, []).append((float(row.step), float(value)))
    found = []
    for name, points in series.items():
        kind, _, rest = name.partition("/")
        level, _, branch = rest.rpartition("/")
        steps, values = thinned(np.array(points))
        found.append(Curve(kind, shown.get(branch, branch), level, steps, values))
    return found


def thinned(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `MOST_POINTS` points of a curve, each the mean of as many neighbours.

    Args:
      points: float `[N, 2]` of (step, value).

    Returns:
      (steps, values), float `[M]` each.
    """
    parts = np.array_split(points, min(len(points), MOST_POINTS))
    means = np.array([part.mean(axis=0) for part in parts])
    return means[:, 0], means[:, 1]
