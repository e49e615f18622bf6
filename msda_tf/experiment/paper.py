"""The figures of the paper's tables that are known for certain: mean IoU in percent.

Source: Russo, Tommasi, Caputo, "Towards Multi-Source Adaptive Semantic Segmentation", Table 1 and the text around it:
mean over 19 classes, an absent class counts 0. A figure that is not here is not known here; none is estimated.
"""

from msda_tf.evaluation.metrics import MAX_MERGE

NO_ADAPT, S1, S2, S_ALL, UNIT = "No Adapt", "S1", "S2", "S-All", "UNIT S1+S2"

_MAX_MERGE = {
    ("cityscapes", 1.0): 42.76,
    ("synthia", 1.0): 37.52,
    ("gta5", 1.0): 39.49,
    ("cityscapes", 0.5): 41.32,
    ("synthia", 0.5): 33.11,
    ("gta5", 0.5): 42.78,
}

# Differences of columns of Table 1: Max Merge above S-All, and above No Adapt.
_OVER_S_ALL = {
    ("cityscapes", 1.0): 0.95,
    ("synthia", 1.0): 1.15,
    ("gta5", 1.0): -1.08,
    ("cityscapes", 0.5): 0.43,
    ("synthia", 0.5): 0.24,
    ("gta5", 0.5): 0.91,
}
_OVER_NO_ADAPT = {("cityscapes", 1.0): 2.78, ("synthia", 1.0): 1.97, ("gta5", 1.0): 1.52}

_PRINTED = {
    ("gta5", 1.0): {S1: 41.17},
    ("gta5", 0.5): {S1: 44.93},
    ("cityscapes", 1.0): {UNIT: 44.5},
}


def figures(target: str, scale: float) -> dict[str, float]:
    """Column -> mean IoU in percent, of the columns whose figure is known.

    S-All and No Adapt follow from Max Merge and the differences, rounded to the table's two digits.
    """
    key = (target, scale)
    if key not in _MAX_MERGE:
        return {}
    known = {MAX_MERGE: _MAX_MERGE[key], S_ALL: round(_MAX_MERGE[key] - _OVER_S_ALL[key], 2), **_PRINTED.get(key, {})}
    if key in _OVER_NO_ADAPT:
        known[NO_ADAPT] = round(_MAX_MERGE[key] - _OVER_NO_ADAPT[key], 2)
    return known
