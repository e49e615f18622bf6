"""ClassMix against sets."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.methods import class_mix

CLASSES = 6


def test_half_of_the_classes_shown_those_with_the_highest_draws():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 3, 4, 255], (4, 5, 7)).astype(np.uint8)
    labels[1], labels[2], labels[3] = 2, 255, np.where(labels[3] == 255, 5, labels[3])
    draws = rng.uniform(size=(4, CLASSES + 1)).astype(np.float32)
    shown = class_mix.present(tf.constant(labels), CLASSES)
    chosen = class_mix.chosen(shown, tf.constant(draws))
    pasted = class_mix.mask(tf.constant(labels), chosen)
    for number, label in enumerate(labels):
        classes = sorted(set(label.ravel()), key=lambda c: -draws[number, c if c < 255 else CLASSES])
        # DACS: int((n + n % 2) / 2) of n classes, of which 255 is one.
        half = classes[: int((len(classes) + len(classes) % 2) / 2)]
        np.testing.assert_array_equal(pasted[number], np.isin(label, half))


def test_every_half_is_as_likely():
    draws = np.random.default_rng(1).uniform(size=(4000, 5)).astype(np.float32)
    shown = tf.constant([[True, False, True, True, True]] * 4000)
    chosen = class_mix.chosen(shown, tf.constant(draws)).numpy()
    assert (chosen.sum(1) == 2).all() and not chosen[:, 1].any()
    assert chosen.mean(0)[[0, 2, 3, 4]] == pytest.approx(0.5, abs=0.03)


def test_shapes_are_known_while_a_graph_is_made():
    """Also of a batch of one, along which tensors of unknown size could be broadcast."""

    @tf.function
    def pasted(labels, draws):
        chosen = class_mix.chosen(class_mix.present(labels, CLASSES), draws)
        assert chosen.shape == (1, CLASSES + 1)
        mask = class_mix.mask(labels, chosen)
        assert mask.shape == labels.shape
        return mask

    assert pasted(tf.zeros([1, 4, 5], tf.uint8), tf.zeros([1, CLASSES + 1])).numpy().all()
