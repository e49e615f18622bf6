"""The gallery's pictures: label maps without loss, and never more bytes than the budget."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.report import encode
from msda_tf.report.gallery import Shot


def decoded(uri):
    prefix = "data:image/webp;base64,"
    assert uri.startswith(prefix)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri[len(prefix) :]))))


def shot(size=(65, 129), seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    label, old, new = (rng.integers(0, 19, size, np.uint8) for _ in range(3))
    label[:3] = 255
    return Shot("a.png", image, label, {"S-All": old, "Max Merge": new}, {"S-All": 0.1, "Max Merge": 0.2}, 0.1)


def test_layers_decode_to_the_very_colours():
    one = shot()
    (picture,) = encode.encode([one], CITYSCAPES_CLASSES, better="Max Merge", than="S-All")
    assert (picture.width, picture.height) == (129, 65)
    assert encode.layer_names(one, True) == ["Truth", "S-All", "Max Merge", "Changes"]
    palette = CITYSCAPES_CLASSES.palette()
    for layer, labels in zip(picture.layers, (one.label, *one.maps.values()), strict=False):
        np.testing.assert_array_equal(decoded(layer), palette[labels])
    changed = decoded(picture.layers[3])
    better = (one.maps["Max Merge"] == one.label) & (one.maps["S-All"] != one.label)
    assert better.any()
    assert (changed[better] == (*encode.CHANGE_COLORS[0], 255)).all()
    both_wrong = (one.maps["Max Merge"] != one.label) & (one.maps["S-All"] != one.label)
    assert (changed[both_wrong][:, 3] == 0).all() and (changed[:3, :, 3] == 0).all()
    assert decoded(picture.photo).shape == (65, 129, 3)


@pytest.mark.parametrize(("part", "width"), [(1.0, 1024), (0.9, 768), (0.2, 384), (0.0001, 256)])
def test_pictures_shrink_until_they_fit(part, width):
    shots = [shot((128, 1024), seed) for seed in range(2)]
    full = sum(p.bytes for p in encode.encode(shots, CITYSCAPES_CLASSES, better="Max Merge", than=None))
    found = encode.encode(shots, CITYSCAPES_CLASSES, better="Max Merge", than=None, budget=int(full * part))
    assert {picture.width for picture in found} == {width}
    assert width == 256 or sum(picture.bytes for picture in found) <= full * part
    assert len(found[0].layers) == 3  # nothing is compared: no layer of changes


def test_no_shots_no_pictures():
    assert encode.encode([], CITYSCAPES_CLASSES, better="S1", than=None) == []
