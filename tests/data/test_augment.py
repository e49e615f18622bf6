"""Colours against Pillow and the standard library, blur against OpenCV."""

import colorsys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from msda_tf.data import augment

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 13, 17, 3)).astype(np.uint8)


def jittered(**changes):
    given = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0} | changes
    return augment.colour_jitter(
        tf.constant(IMAGES, tf.float32), **{k: tf.constant([v, v], tf.float32) for k, v in given.items()}
    )


@pytest.mark.parametrize(
    ("name", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
@pytest.mark.parametrize("factor", [0.75, 1.0, 1.25])
def test_as_pillow_enhances(name, enhance, factor):
    found = jittered(**{name: factor}).numpy()
    for ours, image in zip(found, IMAGES, strict=True):
        theirs = np.asarray(enhance(Image.fromarray(image)).enhance(factor), np.float32)
        np.testing.assert_allclose(ours, theirs, atol=1.6)  # Pillow rounds grey, mean and result


def test_hue_turns_the_circle():
    found = jittered(hue=-0.2).numpy()
    for y, x in [(0, 0), (5, 9), (12, 16)]:
        hue, saturation, value = colorsys.rgb_to_hsv(*(IMAGES[1, y, x] / 255.0))
        expected = 255 * np.array(colorsys.hsv_to_rgb((hue - 0.2) % 1.0, saturation, value))
        np.testing.assert_allclose(found[1, y, x], expected, atol=1e-2)


@pytest.mark.parametrize("sigma", [0.15, 0.6, 1.15])
def test_blur_is_opencvs(sigma):
    found = augment.blur(tf.constant(IMAGES, tf.float32), tf.constant([sigma, 1.0])).numpy()
    # A kernel of a tenth of a crop of 512, as the published code has it: what is cut off does not show.
    theirs = cv2.GaussianBlur(IMAGES[0].astype(np.float32), (11, 11), sigma, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(found[0], theirs, atol=0.02)


def test_a_batch_changes_or_stays_by_its_draws():
    images, draws = tf.constant(IMAGES, tf.float32), tf.constant(np.full((2, 5), 0.9, np.float32))
    for of_batch, jitter, changed in [
        ([0.1, 0.4], 0.2, False),
        ([0.3, 0.4], 0.2, True),
        ([0.1, 0.6], 0.2, True),
        ([0.9, 0.4], 0.0, False),
    ]:
        found = augment.strong(images, jitter=jitter, blurred=True, of_batch=tf.constant(of_batch), of_images=draws)
        assert bool(tf.reduce_any(found != images)) == changed
        assert np.isfinite(found).all()


def test_small_images_are_blurred_too():
    assert augment.blur(tf.ones([1, 3, 4, 3]), tf.constant([1.0])).numpy() == pytest.approx(np.ones((1, 3, 4, 3)))
