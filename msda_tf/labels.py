"""The label tables, once: the 19 classes, their colours, the ids of each data set, and the evaluation protocols.

Names, ids and colours are those of cityscapesScripts (``helpers/labels.py``). GTA5 uses Cityscapes' label ids in
its palette images. The SYNTHIA-RAND-CITYSCAPES ids are those of its README; its lane markings (22) have no class
of their own in Cityscapes, where they belong to the road.
"""

from dataclasses import dataclass

import numpy as np

IGNORE = 255
"""trainId of pixels that belong to no class: never trained on, never scored."""


@dataclass(frozen=True)
class ClassList:
    """An ordered list of classes: index in the list = trainId.

    Attributes:
      names: class names.
      colors: one (red, green, blue) triple of 0-255 per class.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]

    def __post_init__(self):
        if len(self.names) != len(self.colors):
            raise ValueError(f"{len(self.names)} class names but {len(self.colors)} colours")

    def __len__(self) -> int:
        return len(self.names)

    def palette(self) -> np.ndarray:
        """uint8 `[256, 3]` RGB, indexed by trainId; ignored pixels (and unused ids) are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self.colors)] = self.colors
        return table


# trainId, name, RGB, Cityscapes / GTA5 labelId, SYNTHIA id, in the 13-class protocol?
_TABLE = (
    ("road", (128, 64, 128), 7, 3, True),
    ("sidewalk", (244, 35, 232), 8, 4, True),
    ("building", (70, 70, 70), 11, 2, True),
    ("wall", (102, 102, 156), 12, 21, False),
    ("fence", (190, 153, 153), 13, 5, False),
    ("pole", (153, 153, 153), 17, 7, False),
    ("traffic light", (250, 170, 30), 19, 15, True),
    ("traffic sign", (220, 220, 0), 20, 9, True),
    ("vegetation", (107, 142, 35), 21, 6, True),
    ("terrain", (152, 251, 152), 22, 16, False),
    ("sky", (70, 130, 180), 23, 1, True),
    ("person", (220, 20, 60), 24, 10, True),
    ("rider", (255, 0, 0), 25, 17, True),
    ("car", (0, 0, 142), 26, 8, True),
    ("truck", (0, 0, 70), 27, 18, False),
    ("bus", (0, 60, 100), 28, 19, True),
    ("train", (0, 80, 100), 31, 20, False),
    ("motorcycle", (0, 0, 230), 32, 12, True),
    ("bicycle", (119, 11, 32), 33, 11, True),
)

CITYSCAPES_CLASSES = ClassList(names=tuple(row[0] for row in _TABLE), colors=tuple(row[1] for row in _TABLE))
"""The 19 classes that Cityscapes evaluates, in trainId order."""

CITYSCAPES_IDS = tuple(row[2] for row in _TABLE)
"""trainId -> Cityscapes labelId (also GTA5's)."""

SYNTHIA_IDS = tuple(row[3] for row in _TABLE)
"""trainId -> SYNTHIA-RAND-CITYSCAPES id. Terrain, truck and train have an id but no pixel in that data set."""

CITYSCAPES_IGNORED_IDS = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, 34)
"""labelIds that exist but are not evaluated. 34 is the licence plate (-1 in Cityscapes' own table), seen in GTA5."""

SYNTHIA_IGNORED_IDS = (0, 13, 14, 22)
"""SYNTHIA ids without a Cityscapes class: void, parking slot, road work, lane marking."""

SYNTHIA_LANE_MARKING = 22

CITYSCAPES_ID_COLORS: dict[int, tuple[int, int, int]] = {
    **dict(zip(CITYSCAPES_IDS, CITYSCAPES_CLASSES.colors, strict=True)),
    **dict.fromkeys((0, 1, 2, 3, 4), (0, 0, 0)),
    5: (111, 74, 0),
    6: (81, 0, 81),
    9: (250, 170, 160),
    10: (230, 150, 140),
    14: (180, 165, 180),
    15: (150, 100, 100),
    16: (150, 120, 90),
    18: (153, 153, 153),
    29: (0, 0, 90),
    30: (0, 0, 110),
    34: (0, 0, 142),
}
"""labelId -> RGB of every Cityscapes label: the palette inside GTA5's label images."""

SYNTHIA_ABSENT = ("terrain", "truck", "train")
"""Classes with no pixel in SYNTHIA."""

PROTOCOLS: dict[str, tuple[str, ...]] = {
    "19": CITYSCAPES_CLASSES.names,
    "16": tuple(name for name in CITYSCAPES_CLASSES.names if name not in SYNTHIA_ABSENT),
    "13": tuple(row[0] for row in _TABLE if row[4]),
}
"""Class subsets that the literature averages over: all 19, the 16 that SYNTHIA has, and the 13 of AdaptSegNet."""


def id_lookup(ids: tuple[int, ...], ignored: tuple[int, ...]) -> np.ndarray:
    """Table from a data set's ids to trainIds.

    Args:
      ids: trainId -> id.
      ignored: ids that are valid but belong to no class.

    Returns:
      int16 `[65536]`: the trainId, 255 for ignored ids, -1 for ids that the data set does not define.
    """
    table = np.full(65536, -1, np.int16)
    table[list(ignored)] = IGNORE
    table[list(ids)] = np.arange(len(ids))
    return table
