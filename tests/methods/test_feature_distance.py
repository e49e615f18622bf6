"""DAFormer's feature distance against a loop over cells."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.methods import feature_distance

RNG = np.random.default_rng(0)


def test_only_cells_of_one_thing_count():
    labels = RNG.choice([0, 1, 2, 255], (2, 12, 16), p=[0.1, 0.1, 0.7, 0.1]).astype(np.uint8)
    labels[0, :4, :4] = 2
    labels[1, :4, :4] = 1
    features, start = RNG.normal(size=(2, 2, 3, 4, 5)).astype(np.float32)
    cells = feature_distance.cells_of(tf.constant(labels), (3, 4), (1, 2))
    expected = 0.0
    for b, y, x in np.ndindex(2, 3, 4):
        below = labels[b, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        counts = max((below == 1).mean(), (below == 2).mean()) >= 0.75
        assert bool(cells[b, y, x]) == counts
        expected += counts * np.sqrt(((features[b, y, x] - start[b, y, x]) ** 2).sum())
    assert 2 <= cells.numpy().sum() < 24
    assert float(feature_distance.distance(features, start, cells)) == pytest.approx(expected, rel=1e-5)


def test_nothing_changed_or_nothing_there_is_no_nan():
    features = tf.Variable(RNG.normal(size=(1, 2, 2, 3)).astype(np.float32))
    for cells in (tf.ones([1, 2, 2]), tf.zeros([1, 2, 2])):
        with tf.GradientTape() as tape:
            distance = feature_distance.distance(features, features.numpy(), cells)
        assert abs(float(distance)) < 1e-5
        np.testing.assert_array_equal(tape.gradient(distance, features), np.zeros([1, 2, 2, 3]))
