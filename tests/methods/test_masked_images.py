"""MIC's masks against a loop over pixels."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.methods import masked_images


@pytest.mark.parametrize(
    ("size", "block", "expected"), [((64, 96), 16, (4, 6)), ((65, 129), 64, (1, 2)), ((9, 9), 64, (1, 1))]
)
def test_blocks(size, block, expected):
    rows, columns = masked_images.grid(*size, block)
    assert (rows, columns) == expected
    draws = np.random.default_rng(0).uniform(size=(2, rows, columns)).astype(np.float32)
    shown = masked_images.shown(tf.constant(draws), size, 0.7).numpy()
    for y in range(0, size[0], 7):
        for x in range(0, size[1], 5):
            cell = draws[:, y * rows // size[0], x * columns // size[1]]
            np.testing.assert_array_equal(shown[:, y, x], cell > 0.7)


def test_what_is_hidden_has_the_mean_colour():
    images = tf.constant(np.random.default_rng(1).uniform(0, 255, (2, 3, 4, 3)), tf.float32)
    shown = np.random.default_rng(2).uniform(size=(2, 3, 4)) > 0.5
    found = masked_images.hidden(images, tf.constant(shown), tf.constant([1.0, 2.0, 3.0])).numpy()
    np.testing.assert_array_equal(found[shown], images.numpy()[shown])
    np.testing.assert_array_equal(found[~shown], np.tile([1.0, 2.0, 3.0], ((~shown).sum(), 1)))
