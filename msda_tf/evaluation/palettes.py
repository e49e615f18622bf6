"""Colours of classes that differ for colour-blind eyes, too.

They are of Martin Krzywinski's palette of 24 colours for colour blindness (mkweb.bcgsc.ca/colorblind; B. Wong, Color
blindness, Nature Methods 8, 2011): eight shades each of teal, blue and red to yellow, which differ in lightness or hue
whatever kind of cone is missing. Of these and of greys, those nineteen were taken that are farthest from each other and
from black under simulated protanopia, deuteranopia and tritanopia (G. Machado et al., A physiologically-based model for
simulation of color vision deficiency, IEEE TVCG 15, 2009): three times as far as the nearest two of Cityscapes are.
"""

import cv2
import numpy as np

from msda_tf.errors import UsageError
from msda_tf.labels import ClassList

OWN, COLOUR_BLIND = "own", "colour-blind"
PALETTES = (OWN, COLOUR_BLIND)
"""The classes' own colours, and those below."""

_OF_CLASS = {
    "road": "808080",
    "sidewalk": "CCCCCC",
    "building": "5A000F",
    "wall": "A6A6A6",
    "fence": "005745",
    "pole": "FFFFFF",
    "traffic light": "FFDC3D",
    "traffic sign": "FF6E3A",
    "vegetation": "00735C",
    "terrain": "FFAC3B",
    "sky": "00E5F8",
    "person": "F60239",
    "rider": "A40122",
    "car": "0079FA",
    "truck": "00306F",
    "bus": "00489E",
    "train": "005FCC",
    "motorcycle": "009FFA",
    "bicycle": "00C2F9",
}

_OTHERS = (
    "FFFFFF 005FCC F60239 00C2F9 A6A6A6 FFAC3B 00306F 5A000F 808080 A40122 CCCCCC FF6E3A 0079FA 00489E FFDC3D 009FFA "
    "00E5F8 00735C 005745 CD022D 00AF8E 003D30 7E0018 86FFDE"
)
"""For classes of other names."""

_EYES = np.array([
    np.eye(3),
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
])  # fmt: skip
"""What eyes with all cones, and without one kind of them, see of linear RGB: Machado et al., severity 1."""


def recoloured(classes: ClassList, palette: str) -> ClassList:
    """The same classes in the colours of a palette.

    Args:
      classes: of any number and names; those of Cityscapes always get the same colours, others such as are far from
        these.
      palette: one of `PALETTES`.

    Raises:
      UsageError: there is no such palette, or it has fewer colours than there are classes.
    """
    if palette not in PALETTES:
        raise UsageError(f"palette {palette!r}: expected one of {', '.join(PALETTES)}")
    if palette == OWN:
        return classes
    others = _OTHERS.split()
    if len(classes) > len(others):
        raise UsageError(
            f"the palette {palette} has {len(others)} colours that can be told apart, and there are {len(classes)} "
            f"classes: leave it out, or use {OWN}"
        )
    chosen = {name: _OF_CLASS[name] for name in classes.names if name in _OF_CLASS}
    free = [color for color in others if color not in chosen.values()]
    for name in classes.names:
        if name not in chosen:
            chosen[name] = _farthest(free, ["000000", *chosen.values()])
            free.remove(chosen[name])
    return ClassList(classes.names, tuple(tuple(bytes.fromhex(chosen[name])) for name in classes.names))


def _farthest(colors: list[str], taken: list[str]) -> str:
    """The one of some colours that is farthest from whichever taken one is nearest to it."""
    distances = np.linalg.norm(_seen(colors)[:, :, None] - _seen(taken)[:, None], axis=-1)
    return colors[int(distances.min(axis=(0, 2)).argmax())]


def _seen(colors: list[str]) -> np.ndarray:
    """CIELAB of colours as different eyes see them: `[eyes, colours, 3]`."""
    rgb = np.array([tuple(bytes.fromhex(color)) for color in colors]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ _EYES.transpose(0, 2, 1)).clip(0, 1)
    # OpenCV takes RGB with its gamma.
    shown = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(shown.astype(np.float32), cv2.COLOR_RGB2Lab)
