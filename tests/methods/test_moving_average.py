"""The teacher's weights against a plain loop."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.methods import moving_average


@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_the_average_is_first_a_copy_then_a_mean_then_exponential(decay):
    values = np.random.default_rng(0).normal(size=30)
    average = tf.constant(7.0, tf.float64)
    for step, value in enumerate(values):
        average = moving_average.averaged(average, tf.constant(value), moving_average.decay_at(step, decay))
        if step < round(1 / (1 - decay)):  # min(1 - 1 / (t + 1), decay): until then the mean of all so far
            assert float(average) == pytest.approx(values[: step + 1].mean(), rel=1e-5)
            expected = float(average)
        else:
            expected = decay * expected + (1 - decay) * value
            assert float(average) == pytest.approx(expected, rel=1e-5)


def test_a_copy_and_what_is_equal_are_exact():
    new = tf.constant(np.random.default_rng(1).normal(size=100), tf.float32)
    for old in (new, new * 1e6):
        decay = 0.999 if old is new else moving_average.decay_at(0, 0.999)
        np.testing.assert_array_equal(moving_average.averaged(old, new, tf.constant(decay)), new)
