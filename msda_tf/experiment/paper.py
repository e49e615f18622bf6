"""The paper's two tables, digit for digit as they are printed.

Source: Russo, Tommasi, Caputo, "Towards Multi-Source Adaptive Semantic Segmentation", 2019. Mean over 19 classes, an
absent class counts 0: only so do the rows of Table 2 average to Table 1, to the rounding of the printed digits.
"""

from collections.abc import Sequence

from msda_tf.config.branches import MAX_MERGE, NO_ADAPT, S_ALL
from msda_tf.labels import CITYSCAPES_CLASSES

S1, S2, UNIT = "S1", "S2", "UNIT S1+S2"

SOURCES = {
    "cityscapes": ("gta5", "synthia"),
    "synthia": ("cityscapes", "gta5"),
    "gta5": ("cityscapes", "synthia"),
}
"""Target -> the data sets of the paper's S1 and S2: the order in which it writes them."""

_COLUMNS = (NO_ADAPT, S1, S2, S_ALL, MAX_MERGE)

# (target, scale) -> mean IoU in percent of _COLUMNS; scale 0.5 is "Redu.", where No Adapt is not reported.
_TABLE_1 = {
    ("cityscapes", 1.0): (39.98, 39.55, 34.51, 41.81, 42.76),
    ("synthia", 1.0): (35.55, 35.25, 34.07, 36.37, 37.52),
    ("gta5", 1.0): (37.97, 41.17, 23.60, 40.57, 39.49),
    ("cityscapes", 0.5): (None, 39.44, 33.36, 40.89, 41.32),
    ("synthia", 0.5): (None, 30.52, 30.02, 32.87, 33.11),
    ("gta5", 0.5): (None, 44.93, 23.28, 41.87, 42.78),
}

# A separate experiment of the text, at a resolution that it does not state: both sources restyled to Cityscapes.
_RESTYLED = {("cityscapes", 1.0): 44.5}

# (target, column) -> IoU in percent of the 19 classes in trainId order, at full resolution.
_TABLE_2 = {
    ("cityscapes", S_ALL): (
        *(85.0, 36.3, 79.9, 21.5, 18.0, 29.5, 25.5, 19.3, 81.4, 23.5),
        *(78.0, 57.6, 23.9, 75.4, 35.0, 40.7, 2.6, 31.7, 29.9),
    ),
    ("cityscapes", MAX_MERGE): (
        *(87.8, 37.1, 80.2, 20.3, 14.9, 29.8, 26.0, 20.5, 82.0, 31.4),
        *(78.0, 57.6, 25.3, 80.5, 31.6, 43.5, 0.0, 29.8, 36.1),
    ),
    ("synthia", MAX_MERGE): (
        *(68.3, 66.8, 86.6, 1.7, 1.7, 39.5, 27.2, 10.9, 73.7, 0.0),
        *(90.6, 55.5, 33.7, 55.7, 0.0, 48.5, 0.0, 23.0, 29.3),
    ),
    ("gta5", MAX_MERGE): (
        *(82.4, 29.4, 56.5, 41.6, 6.7, 31.1, 26.4, 19.3, 64.4, 7.4),
        *(88.1, 42.8, 50.3, 74.2, 36.8, 31.4, 0.0, 32.5, 29.3),
    ),
}


def figures(target: str, scale: float, sources: Sequence[str]) -> dict[str, float]:
    """Table 1: column -> mean IoU in percent, of the columns that the paper reports.

    Args:
      target: a data set.
      scale: of its images against their own size.
      sources: the data sets of S1, S2 beside which the figures are put. The paper's S1 is the figure of the data set
        that it is, wherever that stands here. Empty if they are not the paper's two.
    """
    if (target, scale) not in _TABLE_1 or set(sources) != set(SOURCES[target]):
        return {}
    printed = dict(zip(_COLUMNS, _TABLE_1[target, scale], strict=True))
    own = dict(zip(SOURCES[target], (printed[S1], printed[S2]), strict=True))
    printed |= {f"S{number}": own[name] for number, name in enumerate(sources, 1)}
    printed[UNIT] = _RESTYLED.get((target, scale))
    return {column: value for column, value in printed.items() if value is not None}


def class_figures(target: str, scale: float) -> dict[str, dict[str, float]]:
    """Table 2: column -> class name -> IoU in percent, of the columns that the paper reports."""
    if scale != 1.0:
        return {}
    names = CITYSCAPES_CLASSES.names
    return {
        column: dict(zip(names, values, strict=True)) for (row, column), values in _TABLE_2.items() if row == target
    }
