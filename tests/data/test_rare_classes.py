"""Rare-class sampling against published figures, and against counting."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.data.rare_classes import RareClasses, RareSampling, probabilities

# Pixels of each of the 19 classes in the 2975 training labels of Cityscapes, as public class statistics list them.
CITYSCAPES = np.array([
    2036416525, 336090793, 1260636120, 36199498, 48454166, 67789506, 11477088, 30448193, 879783988, 63949536,
    221979646, 67326424, 7463162, 386328286, 14772328, 12990290, 12863955, 5449152, 22861233,
])  # fmt: skip


def test_cityscapes_has_the_published_chances():
    """Of VFM-UDA++'s statistics at T = 0.01: motorcycle, rider, light, train, bus, truck, bicycle, sign, ..."""
    published = {17: 0.113, 12: 0.109, 6: 0.101, 16: 0.099, 15: 0.098, 14: 0.095, 18: 0.082, 7: 0.072}
    published |= {3: 0.065, 4: 0.052, 9: 0.039, 11: 0.037, 5: 0.036}
    found = probabilities(CITYSCAPES, 0.01)
    assert found.sum() == pytest.approx(1)
    for c, chance in published.items():
        assert found[c] == pytest.approx(chance, abs=1.5e-3), c
    assert found[0] < 1e-10


def test_a_class_that_a_source_lacks_is_never_drawn():
    pixels = np.array([100, 0, 5, 0])
    found = probabilities(pixels, 0.5)
    first, third = np.exp((1 - 100 / 105) / 0.5), np.exp((1 - 5 / 105) / 0.5)
    np.testing.assert_allclose(found, [first / (first + third), 0, third / (first + third), 0])
    assert not probabilities(np.zeros(3), 0.01).any()


def test_images_come_by_their_classes_and_from_any_position():
    counts = np.array([[900, 0, 50], [900, 40, 0], [900, 0, 0], [900, 30, 60], [900, 10, 0]])
    rare = RareClasses(counts, RareSampling(temperature=0.02, min_pixels=20), seed=3, stream="source/a")
    chances = probabilities(counts.sum(0), 0.02)
    images, classes = np.array(list(tf.data.Dataset.range(1500).map(rare.drawn).as_numpy_iterator())).T
    assert (counts[images, classes] > 20).all()
    for c in range(3):
        assert np.mean(classes == c) == pytest.approx(chances[c], abs=0.04)
    assert np.mean(images[classes == 1] == 1) == pytest.approx(0.5, abs=0.06)
    later = [(int(p), int(r)) for p, r in rare.records(70).take(20)]
    assert later == [(p, images[p]) for p in range(70, 90)]


def test_without_any_class_of_enough_pixels_all_images_are_alike():
    rare = RareClasses(np.ones((4, 3), int), RareSampling(0.01, 3000), seed=0, stream="source/a")
    found = list(tf.data.Dataset.range(60).map(rare.drawn).as_numpy_iterator())
    assert {int(image) for image, _ in found} == {0, 1, 2, 3} and {int(c) for _, c in found} == {-1}
