"""Crops show what they should, where they can; margins are those of the whole image."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.data.crops import Crops, inside_margins

HEIGHT, WIDTH = 40, 61


def example():
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[30:, 50:] = 3
    label[:, :5] = 255
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return {
        "image": tf.constant(np.stack([y, x, label], -1).astype(np.uint8)),
        "label": tf.constant(label),
        "filename": tf.constant("a"),
    }


def cut(crops, position, wanted=None):
    found = crops.cut(example(), tf.constant([5, position], tf.int64), wanted)
    assert found["image"].shape == (*crops.size, 3) and found["label"].shape == crops.size
    np.testing.assert_array_equal(found["image"][..., 2], found["label"])  # image and label stay together
    return found


def test_every_place_is_drawn():
    corners = np.array([cut(Crops((33, 60)), p)["image"][0, 0, :2].numpy() for p in range(60)])
    assert set(corners[:, 0]) == set(range(8)) and set(corners[:, 1]) == {0, 1}
    whole = Crops((HEIGHT, WIDTH)).cut(example(), tf.constant([0, 0], tf.int64))
    np.testing.assert_array_equal(whole["image"], example()["image"])


def test_crops_show_the_class_that_is_wanted():
    """One place in 18 shows more than 20 pixels of it; of ten places one does, with a chance of 0.43."""
    wanted = tf.constant(3, tf.int64)

    def share(crops, wanted=None):
        positions = tf.data.Dataset.range(40)
        labels = positions.map(lambda p: crops.cut(example(), [tf.constant(5, tf.int64), p], wanted)["label"])
        return np.mean([(label == 3).sum() > 20 for label in labels.as_numpy_iterator()])

    assert share(Crops((16, 16), least=20), wanted) > share(Crops((16, 16))) + 0.2


@pytest.mark.parametrize(
    ("counts", "wanted", "good"),
    [
        ({0: 74, 1: 26}, None, True),
        ({0: 76, 1: 24}, None, False),
        ({0: 50, 255: 50}, None, False),  # of the labelled pixels all are of one class
        ({255: 100}, None, False),
        ({0: 50, 1: 50}, 1, True),
        ({0: 61, 1: 39}, 1, False),
        ({0: 61, 1: 39}, -1, True),
    ],
)
def test_what_is_a_good_crop(counts, wanted, good):
    label = np.repeat(list(counts), list(counts.values())).astype(np.uint8).reshape(10, 10)
    crops = Crops((10, 10), max_share=0.75, least=40)
    assert bool(crops.good(tf.constant(label), None if wanted is None else tf.constant(wanted, tf.int64))) == good


def test_scales():
    crops = Crops((30, 40), scale=(0.5, 2.0))
    sizes = np.array([crops.scaled((40, 61), tf.constant([1, p], tf.int64)) for p in range(50)])
    assert (sizes >= (30, 40)).all() and sizes[:, 0].max() > 60 and sizes[:, 0].min() == 30
    wide = sizes[sizes[:, 0] > 30]
    np.testing.assert_allclose(wide[:, 1] / wide[:, 0], 61 / 40, atol=0.03)


def test_margins():
    found = inside_margins((100, 50), (0.03, 0.25, 0.1, 0.0)).numpy()
    expected = np.zeros((100, 50))
    expected[3:75, 5:] = 1
    np.testing.assert_array_equal(found, expected)
