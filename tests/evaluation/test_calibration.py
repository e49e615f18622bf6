"""Temperatures, likelihood, calibration error and expected IoU, against loops over pixels and SciPy-free fits."""

import numpy as np
import pytest

from msda_tf.evaluation import calibration
from msda_tf.evaluation.calibration import TEMPERATURES
from msda_tf.labels import IGNORE

CLASSES = 4


def pixels(count=400, scale=3.0, seed=0):
    """Logits whose probabilities at temperature 1 are true: labels are drawn from them; then scaled, too sure."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (count, CLASSES))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(CLASSES, p=row) for row in true], np.uint8)
    return scale * logits, labels


def softmax(row, temperature):
    powers = [np.exp(float(value) / temperature) for value in row]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("k", [0, 8, 15, 24])
def test_equals_a_loop(k):
    logits, labels = pixels(60)
    labels[::7] = IGNORE
    nll, gaps, expected = np.zeros(CLASSES), {}, np.zeros((CLASSES, CLASSES))
    known = [index for index in range(60) if labels[index] != IGNORE]
    for index in known:
        p = softmax(logits[index], TEMPERATURES[k])
        nll[labels[index]] -= np.log(p[labels[index]])
        predicted = int(np.argmax(p))
        expected[predicted] += p
        bin_ = min(int(np.float32(p[predicted]) * 20), 19)
        gaps[bin_] = gaps.get(bin_, 0) + (predicted == labels[index]) - p[predicted]
    found = calibration.tally(logits, labels)
    np.testing.assert_allclose(found.nll[k], nll, rtol=1e-4)
    assert found.mean_nll()[k] == pytest.approx(nll.sum() / len(known), rel=1e-4)
    np.testing.assert_allclose(found.expected[k], expected, rtol=1e-4, atol=1e-5)
    assert found.calibration_error()[k] == pytest.approx(sum(map(abs, gaps.values())) / len(known), abs=1e-4)
    hits = [index for index in known if logits[index].argmax() == labels[index]]
    assert found.accuracy() == pytest.approx(len(hits) / len(known))


def test_expected_matrix_equals_a_loop():
    generator = np.random.default_rng(0)
    soft, labels = calibration.probabilities(generator.normal(0, 1, (50, CLASSES))), generator.integers(0, CLASSES, 50)
    expected = np.zeros((CLASSES, CLASSES))
    for row, label in zip(soft, labels, strict=True):
        expected[label] += row
    np.testing.assert_allclose(calibration.expected_matrix(labels, soft), expected, rtol=1e-6)
    certain = np.eye(CLASSES, dtype=np.float32)[labels]
    assert calibration.expected_miou(calibration.expected_matrix(labels, certain)) == pytest.approx(1)


def test_the_temperature_that_made_the_labels_is_found():
    logits, labels = pixels(20000, scale=3.0)
    found = calibration.tally(logits, labels)
    best = TEMPERATURES[found.mean_nll().argmin()]
    assert best == pytest.approx(3.0, rel=0.2)
    at = int(np.abs(TEMPERATURES - 3).argmin())
    assert found.calibration_error()[at] < 0.02 < 0.1 < found.calibration_error()[8]
    # There, what probabilities expect of themselves is what labels say.
    hits = np.array([np.logical_and(logits.argmax(1) == c, labels == c).sum() for c in range(CLASSES)])
    unions = np.array([np.logical_or(logits.argmax(1) == c, labels == c).sum() for c in range(CLASSES)])
    assert found.expected_miou()[at] == pytest.approx((hits / unions).mean(), abs=0.02)
    assert found.expected_miou()[8] > (hits / unions).mean() + 0.1
    assert found.mean_confidence()[at] == pytest.approx(found.accuracy(), abs=0.02)


def test_as_many_reach_the_threshold_as_are_right():
    logits, labels = pixels(5000)
    found = calibration.tally(logits, labels)
    for k in (4, 8, 14):
        top = calibration.probabilities(logits, TEMPERATURES[k]).max(axis=1)
        assert (top >= found.threshold()[k]).mean() == pytest.approx(found.accuracy(), abs=0.02)


def test_sums_of_parts_are_sums_of_the_whole():
    logits, labels = pixels(300)
    parts = calibration.tally(logits[:100], labels[:100]) + calibration.tally(logits[100:], labels[100:])
    whole = calibration.tally(logits, labels)
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(parts, name), value, rtol=1e-4, err_msg=name)


def test_no_labelled_pixel_gives_no_figure():
    found = calibration.tally(np.zeros((3, CLASSES)), np.full(3, IGNORE, np.uint8))
    assert np.isnan(found.mean_nll()).all() and np.isnan(found.calibration_error()).all() and np.isnan(found.accuracy())
    assert found.pixels.sum() == 0 and (found.expected_miou() == 0).all()


def test_expected_iou_of_certain_probabilities_is_the_iou():
    """Truth 0,0,1,2 predicted 0,1,1,1: IoUs 1/2, 1/3, 0, and a class that is nowhere counts 0."""
    matrix = np.zeros((4, 4))
    for predicted, true in [(0, 0), (1, 0), (1, 1), (1, 2)]:
        matrix[predicted, true] += 1
    assert calibration.expected_miou(matrix) == pytest.approx((1 / 2 + 1 / 3) / 4)
