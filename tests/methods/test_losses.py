"""Equations 1 to 3 against loops over pixels."""

import math

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.labels import IGNORE
from msda_tf.methods import losses


def entropy_by_loop(logits, labels):
    """(sum of cross-entropies in float64, number of valid pixels)."""
    total, count = 0.0, 0
    for index in np.ndindex(labels.shape):
        if labels[index] != IGNORE:
            scores = [float(score) for score in logits[index]]
            highest = max(scores)
            total += highest + math.log(sum(math.exp(s - highest) for s in scores)) - scores[labels[index]]
            count += 1
    return total, count


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (2, 9, 13, 19)).astype(np.float32)
    labels = rng.integers(0, 19, (2, 9, 13)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.3] = IGNORE
    return logits, labels


def test_segmentation_loss_is_the_mean_over_valid_pixels_of_the_batch(maps):
    logits, labels = maps
    total, count = entropy_by_loop(logits, labels)
    assert float(losses.segmentation_loss(logits, labels)) == pytest.approx(total / count, rel=1e-5)
    assert float(losses.valid_pixels(labels)) == count
    assert float(losses.segmentation_loss(logits, labels, 10.0)) == pytest.approx(total / 10, rel=1e-5)


def test_parts_of_a_batch_add_up_to_the_whole(maps):
    logits, labels = maps
    labels[0, :5] = IGNORE  # parts of different weight
    whole = losses.segmentation_loss(logits, labels)
    count = losses.valid_pixels(labels)
    parts = [losses.segmentation_loss(logits[i : i + 1], labels[i : i + 1], count) for i in range(2)]
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-5)


def test_extreme_logits_stay_finite():
    logits = tf.constant([[[[1e4, -1e4], [-1e4, 1e4]]]])
    loss = losses.segmentation_loss(logits, tf.constant([[[0, 0]]], tf.uint8))
    assert float(loss) == pytest.approx(1e4)


def test_ignored_pixels_have_no_gradient_and_all_ignored_gives_zero(maps):
    logits, labels = maps
    logits = tf.constant(logits)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        some = losses.segmentation_loss(logits, labels)
        none = losses.segmentation_loss(logits, np.full_like(labels, IGNORE))
    gradient = tape.gradient(some, logits).numpy()
    assert not gradient[labels == IGNORE].any()
    assert gradient[labels != IGNORE].any(-1).all()
    assert float(none) == 0.0
    assert not tape.gradient(none, logits).numpy().any()


def domain_loss_by_loop(answers, domain, objective):
    values = []
    for answer in answers.ravel().tolist():
        if objective == "lsgan":
            values.append((answer - domain) ** 2)
        else:
            probability = 1 / (1 + math.exp(-answer))
            values.append(-math.log(probability if domain == losses.SOURCE else 1 - probability))
    return sum(values) / len(values)


@pytest.mark.parametrize("objective", ["vanilla", "lsgan"])
def test_adversarial_losses(objective):
    rng = np.random.default_rng(1)
    source, target = (rng.normal(0, 3, (2, 4, 7, 1)).astype(np.float32) for _ in range(2))
    on_source = domain_loss_by_loop(source, losses.SOURCE, objective)
    on_target = domain_loss_by_loop(target, losses.TARGET, objective)
    halves = [
        losses.discriminator_loss(source, losses.SOURCE, objective),
        losses.discriminator_loss(target, losses.TARGET, objective),
    ]
    assert float(sum(halves)) == pytest.approx((on_source + on_target) / 2, rel=1e-5)
    passes_for_source = domain_loss_by_loop(target, losses.SOURCE, objective)
    assert float(losses.adversarial_loss(target, objective)) == pytest.approx(passes_for_source, rel=1e-5)
    assert float(losses.gan_loss(source, losses.SOURCE, objective)) == pytest.approx(on_source, rel=1e-5)


def test_a_certain_discriminator_is_no_overflow():
    answers = tf.constant([[[[200.0]]]])
    assert float(losses.discriminator_loss(answers, losses.SOURCE)) == 0.0
    assert float(losses.discriminator_loss(-answers, losses.TARGET)) == 0.0
    assert float(losses.adversarial_loss(-answers)) == pytest.approx(200.0)
