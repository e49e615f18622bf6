"""Means over classes by each rule, against published arithmetic and loops."""

import numpy as np
import pytest

from msda_tf.errors import UsageError
from msda_tf.evaluation.confusion import confusion_matrix
from msda_tf.evaluation.protocol import drop_pixels, score, subset
from msda_tf.labels import CITYSCAPES_CLASSES, PROTOCOLS, SYNTHIA_ABSENT, ClassList

FOUR = ClassList(names=("road", "sky", "car", "void"), colors=((0, 0, 0),) * 4)


def random_maps(seed, classes=19, size=(65, 129)):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, size)
    predictions = np.where(generator.random(size) < 0.6, labels, generator.integers(0, classes, size))
    labels[generator.random(size) < 0.1] = 255
    return labels, predictions


def matrix_of(ious):
    """A matrix with these IoUs: for each class, hits and pixels that were missed by predicting no class."""
    matrix = np.zeros((len(ious), len(ious) + 1), np.int64)
    for index, iou in enumerate(ious):
        if iou is not None:
            matrix[index, index], matrix[index, -1] = round(iou * 10_000), round((1 - iou) * 10_000)
    return matrix


def test_paper_rule_and_cityscapes_rule():
    scores = score(matrix_of([0.5, None, 0.0, 0.7]), FOUR)
    assert scores.iou == {"road": 0.5, "sky": None, "car": 0.0, "void": 0.7}
    assert scores.miou_all == pytest.approx(1.2 / 4)
    assert scores.miou_present == pytest.approx(1.2 / 3)


def test_synthia_arithmetic_of_the_literature():
    """A 19-class mean of 37.51 with three absent classes is a 16-class mean of 37.51 * 19 / 16 = 44.54."""
    ious = [0.44543 if name not in SYNTHIA_ABSENT else None for name in CITYSCAPES_CLASSES.names]
    matrix = matrix_of(ious)
    assert round(100 * score(matrix, CITYSCAPES_CLASSES).miou_all, 2) == 37.51
    sixteen = score(matrix, CITYSCAPES_CLASSES, PROTOCOLS["16"])
    assert round(100 * sixteen.miou_all, 2) == round(100 * sixteen.miou_present, 2) == 44.54


def test_absent_but_predicted_class_stays_in_the_mean():
    matrix = np.zeros((4, 5), np.int64)
    matrix[0, 0], matrix[0, 3] = 8, 2
    scores = score(matrix, FOUR)
    assert scores.iou == {"road": 0.8, "sky": None, "car": None, "void": 0.0}
    assert scores.miou_present == pytest.approx(0.4)
    assert scores.miou_all == pytest.approx(0.2)


def test_all_ignored():
    scores = score(np.zeros((4, 5), np.int64), FOUR)
    assert set(scores.iou.values()) == {None}
    assert (scores.miou_all, scores.miou_present) == (0.0, None)


@pytest.mark.parametrize("protocol", ["19", "16", "13"])
def test_subset_as_mean_of_ious(protocol):
    matrix = confusion_matrix(*random_maps(0), classes=19)
    all_scores = score(matrix, CITYSCAPES_CLASSES)
    part = score(matrix, CITYSCAPES_CLASSES, PROTOCOLS[protocol])
    assert len(part.iou) == int(protocol)
    assert part.iou == {name: all_scores.iou[name] for name in PROTOCOLS[protocol]}
    assert part.miou_all == pytest.approx(sum(part.iou.values()) / int(protocol))


@pytest.mark.parametrize("protocol", ["16", "13"])
def test_subset_with_pixels_dropped_equals_counting_with_those_labels_ignored(protocol):
    labels, predictions = random_maps(1)
    kept = [CITYSCAPES_CLASSES.names.index(name) for name in PROTOCOLS[protocol]]
    renumber = np.full(256, 255)
    renumber[kept] = np.arange(len(kept))
    expected = confusion_matrix(renumber[labels], renumber[predictions], classes=len(kept))
    matrix = confusion_matrix(labels, predictions, classes=19)
    np.testing.assert_array_equal(drop_pixels(matrix, kept), expected)

    dropped = score(matrix, CITYSCAPES_CLASSES, PROTOCOLS[protocol], "drop-pixels")
    usual = score(matrix, CITYSCAPES_CLASSES, PROTOCOLS[protocol])
    assert all(dropped.iou[name] > usual.iou[name] for name in PROTOCOLS[protocol])


def test_rules_agree_on_all_classes():
    matrix = confusion_matrix(*random_maps(2), classes=19)
    assert score(matrix, CITYSCAPES_CLASSES, rule="drop-pixels") == score(matrix, CITYSCAPES_CLASSES)


def test_subset_from_text():
    assert subset("16", CITYSCAPES_CLASSES) == PROTOCOLS["16"]
    assert subset("all", FOUR) == FOUR.names
    assert subset("car, road", FOUR) == ("car", "road")
    assert list(score(matrix_of([0.1, 0.2, 0.3, 0.4]), FOUR, subset("car, road", FOUR)).iou.values()) == [0.3, 0.1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("road,tram", "no class 'tram': the data set has road, sky, car, void"),
        ("road,road", "class 'road' given twice"),
        (",", "no class named"),
        ("16", "no class 'sidewalk'"),
    ],
)
def test_wrong_subsets_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        subset(text, FOUR)


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="mean-of-ious, drop-pixels"):
        score(matrix_of([1.0] * 4), FOUR, rule="both")
    with pytest.raises(ValueError, match="3 classes for a list of 4"):
        score(matrix_of([1.0] * 3), FOUR)
