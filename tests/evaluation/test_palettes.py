"""Colours for colour-blind eyes: told apart where Cityscapes' own are not, by a simulation of its own."""

import numpy as np
import pytest

from msda_tf.errors import UsageError
from msda_tf.evaluation import palettes
from msda_tf.labels import CITYSCAPES_CLASSES, ClassList

# Machado, Oliveira and Fernandes 2009, severity 1.0, of linear RGB.
MISSING_CONES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Of linear sRGB to CIE XYZ (D65).
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def nearest(classes, missing):
    """Distance in CIELAB of the two colours that are nearest, black among them."""
    rgb = np.array([*classes.colors, (0, 0, 0)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = (linear @ np.array(missing).T).clip(0, 1) @ XYZ.T / XYZ.sum(axis=1)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    return min(np.linalg.norm(a - b) for n, a in enumerate(lab) for b in lab[:n])


@pytest.mark.parametrize("kind", MISSING_CONES)
def test_classes_are_told_apart_whatever_cone_is_missing(kind):
    shown = palettes.recoloured(CITYSCAPES_CLASSES, palettes.COLOUR_BLIND)
    own, changed = (nearest(each, MISSING_CONES[kind]) for each in (CITYSCAPES_CLASSES, shown))
    assert changed > 9 and changed > 1.4 * own


@pytest.mark.parametrize("kind", MISSING_CONES)
def test_classes_of_other_names_are_far_from_those_of_cityscapes_and_each_other(kind):
    """The seven of IDD, of which "sky" is one of Cityscapes'."""
    names = ("drivable", "non-drivable", "living thing", "vehicle", "roadside object", "far object", "sky")
    shown = palettes.recoloured(ClassList(names, ((0, 0, 0),) * 7), palettes.COLOUR_BLIND)
    assert nearest(shown, MISSING_CONES[kind]) > 20


def test_names_and_order_stay_and_cityscapes_classes_have_their_colours_in_every_list():
    shown = palettes.recoloured(CITYSCAPES_CLASSES, palettes.COLOUR_BLIND)
    assert shown.names == CITYSCAPES_CLASSES.names and len(set(shown.colors)) == 19
    few = ClassList(("obstacle", "road", "drivable"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    found = palettes.recoloured(few, palettes.COLOUR_BLIND)
    assert found.colors[1] == shown.colors[0] and len(set(found.colors)) == 3
    assert palettes.recoloured(few, palettes.OWN) is few


def test_more_classes_than_can_be_told_apart_are_refused():
    names = tuple(f"class {number}" for number in range(25))
    many = ClassList(names, ((0, 0, 0),) * 25)
    assert len(set(palettes.recoloured(ClassList(names[:24], many.colors[:24]), palettes.COLOUR_BLIND).colors)) == 24
    with pytest.raises(UsageError, match="24 colours that can be told apart, and there are 25"):
        palettes.recoloured(many, palettes.COLOUR_BLIND)
    with pytest.raises(UsageError, match="expected one of own, colour-blind"):
        palettes.recoloured(many, "pastel")
