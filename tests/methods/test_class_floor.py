"""The floor under the classes' shares, against loops and against the best labels that keep it."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.methods import class_floor
from msda_tf.methods.class_floor import ClassFloor


def test_shares_of_sources():
    """The second source lacks the last two classes, and says nothing of them; nobody shows the third one."""
    found = class_floor.source_shares([[60, 20, 0, 20], [30, 10, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(found, [(0.6 + 0.75) / 2, (0.2 + 0.25) / 2, 0, 0.2], rtol=1e-6)


def test_prices_rise_and_fall():
    floors, given = [0.2, 0.2, 0.2, 0.0], [0.0, 0.1, 0.9, 0.3]
    found = class_floor.next_log_prices(tf.constant([0.5, 0.5, 0.1, 0.0]), tf.constant(given), tf.constant(floors))
    expected = [0.5 + class_floor.RATE, 0.5 + class_floor.RATE / 2, 0.0, 0.0]  # the third would be below 1
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    dear = class_floor.next_log_prices(tf.fill([4], 2.3), tf.constant(given), tf.constant(floors))
    np.testing.assert_allclose(dear[0], np.log(class_floor.HIGHEST), rtol=1e-6)


@pytest.mark.parametrize("rule", ["mean-probability", "max-logit"])
def test_labels_are_the_likeliest_that_keep_the_floor(rule):
    """Of all labels that give a class its floor, those with the highest product of probabilities.

    With one class below its floor they are easy to find: it takes the pixels where it loses least, in order, until it
    has enough; the others stay.
    """
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([6, 4, 1.2], 4000).astype(np.float32)
    wanted, pixels = 0.08, len(probabilities)
    before = probabilities.argmax(-1)
    assert (before == 2).mean() < wanted / 2
    loses = probabilities[:, :2].max(-1) / probabilities[:, 2]
    best = before.copy()
    best[np.argsort(loses)[: int(wanted * pixels)]] = 2

    floor = ClassFloor(3)
    floor.floors.assign([0.1, 0.1, wanted])
    scores = tf.reshape(probabilities if rule == "mean-probability" else np.log(probabilities), [1, 40, 100, 3])
    for _ in range(300):
        labels = tf.reshape(tf.argmax(floor.priced(scores, rule), axis=-1), [-1]).numpy()
        floor.follow(tf.constant(np.bincount(labels, minlength=3) / pixels, tf.float32))
    assert (labels != best).sum() <= 0.002 * pixels
    np.testing.assert_array_equal(floor.log_prices[:2], [0, 0])


def test_shares_that_vary_from_batch_to_batch_keep_the_floor_in_the_mean():
    rng = np.random.default_rng(1)
    floor, given = ClassFloor(2), []
    floor.floors.assign([0.0, 0.05])
    for number in range(1500):
        # Half of the batches show next to nothing of the class.
        parameters = [9, 0.1] if number % 2 else [6, 1.5]
        scores = tf.constant(rng.dirichlet(parameters, (1, 20, 20)), tf.float32)
        labels = tf.argmax(floor.priced(scores, "mean-probability"), axis=-1)
        given.append(float(tf.reduce_mean(tf.cast(labels, tf.float32))))
        floor.follow(tf.constant([1 - given[-1], given[-1]]))
    assert np.mean(given[300:]) == pytest.approx(0.05, rel=0.1)
