"""UNIT's terms, against sums written out in NumPy."""

import numpy as np
import tensorflow as tf
from seeded import seeded

from msda_tf.stylize import losses


def test_reconstruction_is_the_mean_absolute_difference():
    x, y = seeded("x", (2, 3, 4, 3)), seeded("y", (2, 3, 4, 3))
    expected = sum(abs(float(p) - float(q)) for p, q in zip(x.ravel(), y.ravel(), strict=True)) / x.size
    assert abs(float(losses.reconstruction(x, y)) - expected) < 1e-6


def test_kl_is_twice_the_divergence_from_the_standard_normal():
    codes = seeded("codes", (2, 3, 4, 5))
    # Of N(m, 1) from N(0, 1), by summing p log(p / q) over a fine grid.
    grid = np.linspace(-12, 12, 4801)
    divergences = []
    for mean in codes.ravel()[:7].astype(np.float64):
        p, q = (np.exp(-((grid - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (mean, 0))
        divergences.append((p * np.log(p / q)).sum() * (grid[1] - grid[0]))
    assert abs(float(losses.kl(codes.ravel()[:7])) - 2 * np.mean(divergences)) < 1e-4


def answers(name):
    return [seeded(f"{name} {size}", (2, size, size + 1, 1)) for size in (4, 2, 1)]


def test_least_squares_are_summed_over_scales():
    reals, fakes = answers("real"), answers("fake")
    expected = sum(np.mean([(v - 1) ** 2 for v in a.ravel()]) + np.mean([v**2 for v in b.ravel()])
                   for a, b in zip(reals, fakes, strict=True))  # fmt: skip
    assert abs(float(losses.discriminator(reals, fakes)) - expected) < 1e-5
    expected = sum(np.mean([(v - 1) ** 2 for v in b.ravel()]) for b in fakes)
    assert abs(float(losses.adversarial(fakes)) - expected) < 1e-5


def test_perceptual_ignores_each_channels_brightness_and_contrast():
    x, y = seeded("x", (1, 5, 6, 3)), seeded("y", (1, 5, 6, 3))
    assert float(losses.perceptual(tf.constant(x), tf.constant(x * 3 + 7))) < 1e-5

    def normal(z):
        return (z - z.mean((1, 2), keepdims=True)) / np.sqrt(z.var((1, 2), keepdims=True) + 1e-5)

    expected = np.mean((normal(x.astype(np.float64)) - normal(y.astype(np.float64))) ** 2)
    assert abs(float(losses.perceptual(tf.constant(x), tf.constant(y))) - expected) < 1e-5
