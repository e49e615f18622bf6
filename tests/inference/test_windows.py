"""Overlapping windows against a loop over places and pixels."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.inference.windows import sliding
from msda_tf.models.layers.resize import upsample

CLASSES = {"S1": 3, "S2": 3}


def network(images):
    """Of stride 4; each map also depends on the mean of what it saw, as a network's context would have it."""
    small = images[:, ::4, ::4]
    context = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
    return {"S1": small * 2.0 + context, "S2": small - 3.0 * context}


def starts(side, window):
    """Where windows begin, as MMSegmentation's loop finds it: min(index * stride, side - window)."""
    stride = window // 2
    count = max(side - window + stride - 1, 0) // stride + 1
    return [max(min(index * stride + window, side) - window, 0) for index in range(count)]


def by_hand(images, window, align_corners):
    height, width = images.shape[1:3]
    totals = {name: np.zeros((*images.shape[:3], depth)) for name, depth in CLASSES.items()}
    count = np.zeros((height, width, 1))
    for top in starts(height, window[0]):
        for left in starts(width, window[1]):
            part = images[:, top : top + window[0], left : left + window[1]]
            rows, columns = slice(top, top + part.shape[1]), slice(left, left + part.shape[2])
            for name, maps in network(tf.constant(part)).items():
                totals[name][:, rows, columns] += upsample(maps, part.shape[1:3], align_corners=align_corners).numpy()
            count[rows, columns] += 1
    assert count.min() >= 1
    return {name: total / count for name, total in totals.items()}


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((65, 129), (32, 48)),  # the last windows begin where the image ends less their size
        ((64, 96), (32, 32)),  # they fit exactly
        ((33, 34), (33, 32)),  # nearly one window
        ((40, 129), (64, 64)),  # a side shorter than the window
        ((20, 30), (64, 64)),  # all of it
        ((37, 41), (7, 9)),  # odd ones
    ],
)
def test_equals_a_loop(size, window, align_corners):
    images = np.random.default_rng(0).uniform(-100, 100, (2, *size, 3)).astype(np.float32)
    expected = by_hand(images, window, align_corners)

    def run(images):
        return sliding(network, images, window, classes=CLASSES, align_corners=align_corners)

    any_size = tf.function(run, input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    for found in (run(tf.constant(images)), any_size(images), tf.function(run)(tf.constant(images))):
        assert found.keys() == expected.keys()
        for name, maps in expected.items():
            np.testing.assert_allclose(found[name], maps, atol=2e-4, err_msg=name)


def test_sizes_that_are_known_stay_known():
    @tf.function
    def run(images):
        return sliding(network, images, (32, 32), classes=CLASSES, align_corners=True)

    traced = run.get_concrete_function(tf.TensorSpec([1, 65, 129, 3], tf.float32))
    assert traced.structured_outputs["S1"].shape == (1, 65, 129, 3)
