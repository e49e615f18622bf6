"""Pseudo-labels and their weights against loops in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.inference import merge
from msda_tf.methods import pseudo_labels

CLASSES, SHAPE = 5, (2, 7, 9)
RNG = np.random.default_rng(0)
LOGITS = [RNG.normal(0, 3, (*SHAPE, CLASSES)).astype(np.float32) for _ in range(3)]


def softmax(values):
    values = np.exp(values - values.max(-1, keepdims=True))
    return values / values.sum(-1, keepdims=True)


@pytest.mark.parametrize("rule", ["max-logit", "max-probability", "mean-probability"])
def test_labels_and_confidence(rule):
    merged = {
        "max-logit": softmax(np.max(LOGITS, axis=0)),
        "max-probability": np.max([softmax(each) for each in LOGITS], axis=0),
        "mean-probability": np.mean([softmax(each) for each in LOGITS], axis=0),
    }[rule]
    labels, confidence = pseudo_labels.labels_and_confidence(merge.merge_scores(LOGITS, rule), rule)
    np.testing.assert_array_equal(labels, merged.argmax(-1))
    np.testing.assert_allclose(confidence, merged.max(-1) / merged.sum(-1), rtol=1e-5)


def test_sums_of_each_class():
    labels, confidence = RNG.integers(0, 4, SHAPE).astype(np.uint8), RNG.uniform(size=SHAPE).astype(np.float32)
    counts, sums = pseudo_labels.class_sums(tf.constant(labels), tf.constant(confidence), CLASSES)
    for c in range(CLASSES):
        assert counts[c] == (labels == c).sum()
        assert float(sums[c]) == pytest.approx(confidence[labels == c].sum(), rel=1e-5)


def test_thresholds_are_lower_where_the_teacher_is_less_sure():
    # FreeMatch, eq. 10, by hand; a class never seen has none, and all unsure is no division by zero.
    found = pseudo_labels.class_thresholds(tf.constant([0.9, 0.45, 0.0]), 0.968)
    np.testing.assert_allclose(found, [0.968, 0.484, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(pseudo_labels.class_thresholds(tf.zeros([3]), 0.968), [0, 0, 0])


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_weights(threshold):
    labels, confidence = RNG.integers(0, CLASSES, SHAPE).astype(np.uint8), RNG.uniform(size=SHAPE).astype(np.float32)
    thresholds = np.full(CLASSES, threshold, np.float32)
    thresholds[2] /= 2
    share = np.float32((confidence >= threshold).mean())

    def found(how):
        given = tf.constant(confidence), tf.constant(labels)
        return pseudo_labels.weights(*given, how=how, thresholds=tf.constant(thresholds), share=tf.constant(share))

    np.testing.assert_array_equal(found("share"), np.full(SHAPE, share))
    for how in ("pixel", "class"):
        for where in np.ndindex(SHAPE):
            assert found(how)[where] == float(confidence[where] >= thresholds[labels[where]])
            break
        expected = (confidence >= thresholds[labels]).astype(np.float32)
        np.testing.assert_array_equal(found(how), expected)
