"""The Frechet distance, against closed forms and a matrix square root."""

import numpy as np
import pytest
from seeded import seeded

from msda_tf.stylize.frechet import frechet_distance, random_features


def normal(name, count, scale=1.0, shift=0.0):
    return seeded(name, (count, 1)) * scale + shift


def test_of_one_dimension_by_hand():
    one, other = normal("one", 50), normal("other", 70, scale=3, shift=2)
    a, b = (x.astype(np.float64).ravel() for x in (one, other))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)


def test_of_several_dimensions_against_the_matrix_square_root():
    one = seeded("one", (60, 5)) @ seeded("mix", (5, 5))
    other = seeded("other", (80, 5)) @ seeded("mix 2", (5, 5)) + 1
    a, b = np.cov(one.astype(np.float64), rowvar=False), np.cov(other.astype(np.float64), rowvar=False)
    difference = one.astype(np.float64).mean(0) - other.astype(np.float64).mean(0)
    values, vectors = np.linalg.eig(a @ b)  # not symmetric, and so another way than the code's
    root = vectors @ np.diag(np.sqrt(values.astype(complex))) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(root @ root, a @ b, atol=1e-9)
    expected = difference @ difference + np.trace(a + b - 2 * np.real(root))
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)


def test_it_is_symmetric_and_0_for_the_same_set():
    one, other = seeded("one", (60, 5)), seeded("other", (60, 5)) * 2
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-9)


def test_features_are_fixed_and_see_colour():
    images = seeded("images", (2, 64, 96, 3), 0, 255).astype(np.uint8)
    features = random_features(images)
    assert features.shape == (2 * 8 * 12, 64) and features.dtype == np.float32
    np.testing.assert_array_equal(features, random_features(images))
    darker, same_look = (images * 0.5).astype(np.uint8), images[:, ::-1]
    assert frechet_distance(features, random_features(darker)) > 3 * frechet_distance(
        features, random_features(same_look)
    )
