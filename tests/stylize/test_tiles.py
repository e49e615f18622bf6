"""Tiles: the whole of them is the whole frame."""

import numpy as np
import pytest
from seeded import seeded, seeded_image
from stylize_runs import networks

from msda_tf.stylize.images import to_network, to_picture
from msda_tf.stylize.tiles import Translator, margin, pool, smallest_tile, spans


def frame(height, width):
    """Dark on the left and bright on the right, so that tiles differ in what instance norm looks at."""
    picture = seeded_image("frame", height, width)[0] * 0.4 + np.linspace(40, 200, width)[None, :, None]
    return picture.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("length", [4, 96, 128, 132, 200, 332, 1000])
def test_spans_cover_an_axis_once_and_keep_off_their_ends(length):
    tile, edge = 128, 36
    found = spans(length, tile=tile, margin=edge)
    kept = [pixel for span in found for pixel in range(span.keep_from, span.keep_to)]
    assert kept == list(range(length))
    for span in found:
        assert span.stop - span.start == min(tile, length) and span.start % 4 == span.keep_from % 4 == 0
        assert span.start == 0 or span.keep_from - span.start >= edge
        assert span.stop == length or span.stop - span.keep_to >= edge


def test_pooled_moments_are_those_of_all_pixels():
    x = seeded("x", (1, 12, 20, 3)) + np.array([100, 0, 5], np.float32)
    pieces = [x[:, :, :8], x[:, :, 8:20]]
    measured = [(p.mean((1, 2), keepdims=True), p.var((1, 2), keepdims=True), p[..., 0].size) for p in pieces]
    mean, variance = pool(measured)
    np.testing.assert_allclose(mean, x.mean((1, 2), keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(variance, x.var((1, 2), keepdims=True), rtol=1e-3)


@pytest.mark.parametrize("size", [(65, 129), (64, 64), (7, 3), (1, 130)])
def test_any_size_is_translated(size):
    picture = frame(*size)
    result = Translator(networks(blocks=1, discriminator_channels=0), blocks=1)(picture)
    assert result.shape == picture.shape and result.dtype == np.uint8


def test_a_frame_is_translated_without_noise():
    unit, picture = networks(blocks=1, discriminator_channels=0), frame(64, 96)
    expected = to_picture(unit.decode("b", unit.encode("a", to_network(picture[None]))))[0]
    # A graph rounds otherwise than single operations.
    assert np.abs(Translator(unit, blocks=1)(picture).astype(int) - expected.numpy()).max() <= 1


@pytest.mark.parametrize("size", [(141, 203), (130, 300), (300, 40)])
def test_tiles_make_up_the_picture_of_the_whole_frame(size):
    blocks = 1
    unit, picture = networks(blocks=blocks, discriminator_channels=0), frame(*size)
    tile = smallest_tile(blocks)
    assert margin(blocks) * 2 < tile < max(size)
    whole = Translator(unit, blocks=blocks)(picture).astype(int)
    tiled = Translator(unit, blocks=blocks, tile=tile)(picture).astype(int)
    assert np.abs(tiled - whole).max() <= 1


def seam_steps(picture, width):
    """Mean grey step across the columns where tiles of a width would meet, over that inside them."""
    steps = np.abs(np.diff(picture.astype(int), axis=1)).mean((0, 2))
    at_seams = np.arange(len(steps)) % width == width - 1
    return steps[at_seams].mean() / steps[~at_seams].mean()


def test_tiles_normalised_by_themselves_would_have_seams():
    """What all this is for, on a smooth frame whose tiles differ in brightness and contrast."""
    blocks, width = 1, 300
    unit, tile = networks(blocks=blocks, discriminator_channels=0), smallest_tile(blocks)
    ramp = np.linspace(0, 1, width)[None, :, None] * np.linspace(255, 100, 140)[:, None, None]
    picture = np.broadcast_to(ramp, (140, width, 3)).astype(np.uint8)
    apart = [Translator(unit, blocks=blocks)(picture[:, i : i + tile]) for i in range(0, width, tile)]
    assert seam_steps(np.concatenate(apart, 1), tile) > 2
    assert seam_steps(Translator(unit, blocks=blocks, tile=tile)(picture), tile) < 1.2
