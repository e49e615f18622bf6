"""Colours of classes that differ for colour-blind eyes, too.

They are of Martin Krzywinski's palette of 24 colours for colour blindness (mkweb.bcgsc.ca/colorblind; B. Wong, Color
blindness, Nature Methods 8, 2011): eight shades each of teal, blue and red to yellow, which differ in lightness or hue
whatever kind of cone is missing. Of these and of greys, those nineteen were taken that are farthest from each other and
from black under simulated protanopia, deuteranopia and tritanopia (G. Machado et al., A physiologically-based model for
simulation of color vision deficiency, IEEE TVCG 15, 2009): three times as far as the nearest two of Cityscapes are.
"""

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

# For classes of other names: each as far as can be from those before it.
_OTHERS = (
    "FFFFFF 005FCC F60239 00C2F9 A6A6A6 FFAC3B 00306F 5A000F 808080 A40122 CCCCCC FF6E3A 0079FA 00489E FFDC3D 009FFA "
    "00E5F8 00735C 005745 CD022D 00AF8E 003D30 7E0018 86FFDE"
)


def recoloured(classes: ClassList, palette: str) -> ClassList:
    """The same classes in the colours of a palette.

    Args:
      classes: of any number and names; those of Cityscapes always get the same colours.
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
    known = {name: _OF_CLASS[name] for name in classes.names if name in _OF_CLASS}
    free = iter([color for color in others if color not in known.values()])
    chosen = [known[name] if name in known else next(free) for name in classes.names]
    return ClassList(classes.names, tuple(tuple(bytes.fromhex(color)) for color in chosen))
