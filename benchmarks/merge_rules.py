"""Merge rules that were tried beside those of `msda_tf.inference.merge`, on the runs of a study of unequal sources.

    python benchmarks/unequal_sources.py --output studies/unequal ...    # first: trains
    python benchmarks/merge_rules.py studies/unequal
    python benchmarks/merge_rules.py studies/unequal studies/mine

Each row is one rule on the last checkpoints of all runs: how far the mean IoU of the merged maps is above the run's
best single branch, which only labels can tell. What rules go by needs no label of the target: calibrations from
held-out images of the sources, and the mean IoU that calibrated probabilities expect of a branch on the target's
images: the branch's own, or the branches' weighted mean.
"""

import argparse
import os
import pathlib
from collections.abc import Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from unequal_sources import Scorer

from msda_tf.evaluation import cross_source
from msda_tf.evaluation.calibration import expected_matrix, expected_miou, probabilities
from msda_tf.evaluation.confusion import class_iou, confusion_matrix

Weights = Mapping[str, float | np.ndarray]
"""Branch -> its say, or its say in each class `[C]`; nothing adds up to 1 yet."""


class Run:
    """The last checkpoint of a run: what its branches say of the target's test images, and what is expected of it.

    Attributes:
      calibrations: of each branch.
      own, consensus: mean IoU of each branch as its own probabilities, or the weighted mean's, expect it, 0-1.
    """

    def __init__(self, directory: pathlib.Path):
        scorer = Scorer(directory)
        cells, pixels = scorer.at(max(scorer.steps()))
        self.calibrations = cross_source.calibrations(cells)
        self._truth = np.concatenate([labels for _, labels in pixels])
        self._soft = {
            name: probabilities(np.concatenate([logits[name] for logits, _ in pixels]), each.temperature)
            for name, each in self.calibrations.items()
        }
        mean = self._mean({name: each.weight for name, each in self.calibrations.items()})
        labels = {name: each.argmax(axis=1) for name, each in self._soft.items()}
        self.own = {name: expected_miou(expected_matrix(labels[name], self._soft[name])) for name in labels}
        self.consensus = {name: expected_miou(expected_matrix(labels[name], mean)) for name in labels}

    def _mean(self, weights: Weights) -> np.ndarray:
        total = sum(np.asarray(weight) for weight in weights.values())
        return sum(self._soft[name] * np.asarray(weight / total, np.float32) for name, weight in weights.items())

    def miou(self, weights: Weights) -> float:
        """Of the merged maps, by the target's labels, %."""
        labels = self._mean(weights).argmax(axis=1).astype(np.uint8)
        matrix = confusion_matrix(self._truth, labels, classes=next(iter(self._soft.values())).shape[1])
        return 100 * float(np.nan_to_num(class_iou(matrix)).mean())


def rules(run: Run) -> dict[str, Weights]:
    """Rule -> weights of the branches' calibrated probabilities."""
    of = run.calibrations
    best = max(run.own.values())
    found: dict[str, Weights] = {
        "weighted-probability": {name: each.weight for name, each in of.items()},
        "class-weighted-probability": {name: each.class_weights for name, each in of.items()},
    }
    for power in (2, 4):
        found[f"exp(-{power} nats)"] = {name: each.weight**power for name, each in of.items()}
        found[f"exp(-nats) * (IoU of the class)^{power}"] = {
            name: each.weight * (each.class_weights / each.weight) ** power for name, each in of.items()
        }
    for factor in (10, 30, 100):
        found[f"exp({factor} * own expectation)"] = {name: np.exp(factor * run.own[name]) for name in of}
        found[f"exp({factor} * mean's expectation)"] = {name: np.exp(factor * run.consensus[name]) for name in of}
    for points in (1, 2, 4):
        found[f"without branches {points} below the best own expectation"] = {
            name: each.class_weights * (run.own[name] >= best - points / 100) for name, each in of.items()
        }
    for name in of:
        found[f"{name} alone"] = {other: float(other == name) for other in of}
    found["the best own expectation alone"] = {name: float(run.own[name] == best) for name in of}
    return found


def main() -> None:
    """Scores every rule on every run, and prints a line for each rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outputs", nargs="+", type=pathlib.Path, help="folders of unequal_sources.py")
    arguments = parser.parse_args()
    gaps: dict[str, list[float]] = {}
    scored = [path for output in arguments.outputs for path in sorted(output.glob("scores/*.json"))]
    for path in scored:
        run = Run(path.parents[1] / "runs" / path.stem)
        mious = {rule: run.miou(weights) for rule, weights in rules(run).items()}
        best = max(mious[f"{name} alone"] for name in run.calibrations)
        for rule, value in mious.items():
            gaps.setdefault(rule, []).append(value - best)
        print(f"{path.stem}: best branch {best:.2f}", flush=True)
        keras.backend.clear_session()
    print(f"\n| rule | above the best branch, mean of {len(scored)} runs | worst run |\n|---|---:|---:|")
    for rule, values in sorted(gaps.items(), key=lambda item: -np.mean(item[1])):
        print(f"| {rule} | {np.mean(values):+.2f} | {min(values):+.2f} |")


if __name__ == "__main__":
    main()
