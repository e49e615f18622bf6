"""Counts against a loop, cityscapesScripts' own evaluation, and Keras' MeanIoU."""

import keras
import numpy as np
import pytest
from PIL import Image

from msda_tf.errors import MsdaError
from msda_tf.evaluation import confusion
from msda_tf.evaluation.confusion import class_iou, confusion_matrix
from msda_tf.evaluation.protocol import score
from msda_tf.labels import CITYSCAPES_CLASSES, CITYSCAPES_IDS

C = 19


def looped(labels, predictions, classes):
    matrix = np.zeros((classes, classes + 1), np.int64)
    for label, prediction in zip(labels.ravel().tolist(), predictions.ravel().tolist(), strict=True):
        if label != 255:
            matrix[label, prediction if 0 <= prediction < classes else classes] += 1
    return matrix


def random_case(seed, labels=range(C), predictions=range(C), ignored=0.1, size=(65, 129)):
    generator = np.random.default_rng(seed)
    truth = generator.choice(list(labels), size)
    guess = np.where(generator.random(size) < 0.5, truth, generator.choice(list(predictions), size))
    truth[generator.random(size) < ignored] = 255
    return truth.astype(np.uint8), guess.astype(np.uint8)


CASES = {
    "random": random_case(0),
    "absent classes": random_case(1, labels=[0, 2, 13], predictions=[0, 2, 13]),
    "classes only predicted": random_case(2, labels=[0, 1, 8], predictions=[0, 1, 9, 14, 16]),
    "classes only in the labels": random_case(3, predictions=[0]),
    "nothing right": (np.full((65, 129), 3, np.uint8), np.full((65, 129), 4, np.uint8)),
    "all right": (random_case(4, ignored=0)[0],) * 2,
    "all ignored": (np.full((65, 129), 255, np.uint8), random_case(5)[1]),
    "ignored ids predicted": random_case(6, predictions=[0, 5, 255]),
    "only ignored ids predicted": (random_case(7)[0], np.full((65, 129), 255, np.uint8)),
    "predicted only where ignored": (
        np.repeat(np.array([[2], [255]], np.uint8), 40, axis=1),
        np.repeat(np.array([[2], [11]], np.uint8), 40, axis=1),
    ),
}
each_case = pytest.mark.parametrize(("labels", "predictions"), CASES.values(), ids=CASES.keys())


@each_case
def test_counts_like_a_loop(labels, predictions):
    expected = looped(labels, predictions, C)
    matrix = confusion_matrix(labels, predictions, classes=C)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, expected)


@each_case
def test_equals_cityscapesscripts(labels, predictions, tmp_path):
    """Its own evaluation of PNG files: counts, IoU of each class, and the mean."""
    script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    to_id = np.zeros(256, np.uint8)  # ignored trainIds become labelId 0, "unlabeled"
    to_id[:C] = CITYSCAPES_IDS
    truth_path, guess_path = str(tmp_path / "a_000000_000000_gtFine_labelIds.png"), str(tmp_path / "guess.png")
    Image.fromarray(to_id[labels]).save(truth_path)
    Image.fromarray(to_id[predictions]).save(guess_path)
    script.args.quiet, script.args.JSONOutput, script.args.evalInstLevelScore = True, False, False
    theirs = script.evaluateImgLists([guess_path], [truth_path], script.args)

    ours = confusion_matrix(labels, predictions, classes=C)
    their_matrix = np.array(theirs["confMatrix"])[list(CITYSCAPES_IDS)]
    np.testing.assert_array_equal(ours[:, :C], their_matrix[:, list(CITYSCAPES_IDS)])
    np.testing.assert_array_equal(ours.sum(axis=1), their_matrix.sum(axis=1))
    their_iou = [theirs["classScores"][name] for name in CITYSCAPES_CLASSES.names]
    np.testing.assert_array_equal(class_iou(ours), their_iou)
    present = score(ours, CITYSCAPES_CLASSES).miou_present
    np.testing.assert_allclose(np.nan if present is None else present, theirs["averageScoreClasses"], rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_mean_equals_keras_mean_iou(seed):
    labels, predictions = random_case(seed, labels=range(12), predictions=range(14))
    metric = keras.metrics.MeanIoU(num_classes=C, ignore_class=255)
    metric.update_state(labels.ravel(), predictions.ravel())
    iou = class_iou(confusion_matrix(labels, predictions, classes=C))
    assert np.isnan(iou).sum() == 5
    assert (iou[12:14] == 0).all()
    assert np.nanmean(iou) == pytest.approx(float(metric.result()), abs=1e-6)


def test_iou_by_hand():
    # Two classes and one miss: class 0 has TP 3, FN 1 + 2, FP 4; class 1 has TP 5, FN 4, FP 1.
    matrix = np.array([[3, 1, 0, 2], [4, 5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(class_iou(matrix), [3 / 10, 5 / 10, np.nan])


def test_parts_add_up_to_the_whole():
    labels, predictions = random_case(8)
    whole = confusion_matrix(labels, predictions, classes=C)
    total = confusion.empty(C)
    for rows in (slice(0, 1), slice(1, 40), slice(40, None)):
        total += confusion_matrix(labels[rows], predictions[rows], classes=C)
    np.testing.assert_array_equal(total, whole)


def test_exact_beyond_the_precision_of_float32():
    """One class with more pixels than float32 can count (2^24), by an odd number."""
    pixels = (1 << 24) + 7
    labels = np.ones(pixels, np.uint8)
    np.testing.assert_array_equal(confusion_matrix(labels, labels, classes=2), [[0, 0, 0], [0, pixels, 0]])


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_other_integer_types(dtype):
    labels = np.array([[0, 1, 2, 2]], dtype)
    predictions = np.array([[0, -1, 2, 100]], dtype)
    expected = [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]
    np.testing.assert_array_equal(confusion_matrix(labels, predictions, classes=3), expected)


def test_any_number_of_classes_and_any_memory_layout():
    labels, predictions = random_case(9, labels=range(254), predictions=range(254))
    expected = looped(labels.T[::2], predictions.T[::2], 255)
    np.testing.assert_array_equal(confusion_matrix(labels.T[::2], predictions.T[::2], classes=255), expected)
    assert confusion_matrix(np.empty((0, 5), np.uint8), np.empty((0, 5), np.uint8), classes=2).sum() == 0


@pytest.mark.parametrize(
    ("labels", "found"), [(np.array([0, 19, 26], np.uint8), "19, 26"), (np.array([0, -1, 300]), "-1, 300")]
)
def test_labels_out_of_range_are_refused(labels, found):
    with pytest.raises(MsdaError, match=rf"aachen\.png holds {found}, expected trainIds 0\.\.18 or 255"):
        confusion_matrix(labels, np.zeros_like(labels), classes=C, name="aachen.png")


def test_different_sizes_are_refused():
    with pytest.raises(MsdaError, match="the label is 4x6, its prediction 6x4: they must be of one size"):
        confusion_matrix(np.zeros((4, 6), np.uint8), np.zeros((6, 4), np.uint8), classes=C)
