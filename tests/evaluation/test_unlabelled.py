"""Scores without labels, against loops over pixels and against the labels that nobody shows them."""

import numpy as np
import pytest

from msda_tf.evaluation import cross_source, unlabelled
from msda_tf.evaluation.calibration import probabilities, tally
from msda_tf.evaluation.confusion import class_iou, confusion_matrix
from msda_tf.evaluation.cross_source import Cell

CLASSES = 4


def pixels(count, seed, scale=3.0):
    """Logits that are `scale` times too sure, and labels drawn from the true probabilities."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2.5, (count, CLASSES))
    uniform = generator.random((count, 1))
    labels = (probabilities(logits).cumsum(axis=1) < uniform).sum(axis=1).clip(0, CLASSES - 1).astype(np.uint8)
    return (scale * logits).astype(np.float32), labels


def cell(seed, *, seen, scale=3.0):
    logits, labels = pixels(40000, seed, scale)
    matrix = confusion_matrix(labels, logits.argmax(1).astype(np.uint8), classes=CLASSES)
    return Cell.of(tally(logits, labels), matrix, seen=seen, images=1)


@pytest.fixture(scope="module")
def collected():
    """Two branches on a target whose pixels are as hard as those of the source that they have not seen."""
    cells = {
        "S1": {"a": cell(1, seen=True), "b": cell(2, seen=False)},
        "S2": {"a": cell(3, seen=False, scale=6), "b": cell(4, seen=True, scale=6)},
    }
    collector = unlabelled.Collector(cross_source.calibrations(cells), cells, ["S1", "S2"])
    truth = np.zeros((CLASSES, CLASSES + 1), np.int64)
    for seed in range(10, 18):
        first, labels = pixels(2000, seed)
        second, _ = pixels(2000, seed, scale=6)
        maps = {"S1": first.argmax(1), "S2": second.argmax(1), "Max Merge": first.argmax(1)}
        collector.add({"S1": first, "S2": second}, maps)
        truth += confusion_matrix(labels, maps["S1"].astype(np.uint8), classes=CLASSES)
    return collector.estimates(), truth


def test_the_estimate_is_near_the_truth_and_so_is_the_accuracy(collected):
    estimates, truth = collected
    assert list(estimates) == ["S1", "S2", "Max Merge"]
    miou, accuracy = class_iou(truth).mean(), np.trace(truth) / truth.sum()
    for name in ("S1", "S2"):
        found = estimates[name]
        assert found.miou == found.own == pytest.approx(miou, abs=0.02)
        assert 0 < found.error < 0.03
        assert found.threshold_accuracy == pytest.approx(accuracy, abs=0.02)
        assert found.confidence_accuracy == pytest.approx(accuracy, abs=0.02)
    merged = estimates["Max Merge"]
    assert merged.miou == pytest.approx(miou, abs=0.02) and merged.own is None
    assert estimates["S1"].agreement == 1 and estimates["S1"].entropy > 0


def test_entropy_and_neighbourhood_density_equal_loops():
    soft = probabilities(np.random.default_rng(1).normal(0, 2, (7, CLASSES)))
    by_hand = -np.mean([sum(p * np.log(p) for p in row) for row in soft.astype(float)])
    assert unlabelled.entropy(soft) == pytest.approx(by_hand, rel=1e-5)
    total = 0.0
    for i in range(7):
        rows = [soft[j].astype(float) for j in range(7) if j != i]
        own = soft[i].astype(float)
        likeness = [np.exp(own @ r / np.linalg.norm(own) / np.linalg.norm(r) / 0.05) for r in rows]
        total -= sum(x / sum(likeness) * np.log(x / sum(likeness)) for x in likeness) / 7
    assert unlabelled.neighbourhood_density(soft) == pytest.approx(total, rel=1e-3)


def test_density_is_higher_in_groups_than_scattered():
    groups = np.repeat(np.eye(CLASSES), 16, axis=0) * 0.9 + 0.025
    scattered = probabilities(np.random.default_rng(2).normal(0, 3, (64, CLASSES)))
    assert unlabelled.neighbourhood_density(groups) > unlabelled.neighbourhood_density(scattered)


def test_disagreement_is_counted():
    cells = {"S1": {"b": cell(2, seen=False)}, "S2": {"a": cell(3, seen=False)}}
    collector = unlabelled.Collector(cross_source.calibrations(cells), cells, ["S1", "S2"])
    logits = np.eye(CLASSES, dtype=np.float32)
    collector.add({"S1": logits, "S2": logits}, {"S1": np.array([0, 1, 2, 3]), "S2": np.array([0, 1, 2, 0])})
    found = collector.estimates()
    assert found["S1"].agreement == found["S2"].agreement == 0.75
