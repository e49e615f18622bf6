"""What a pixel of a generated street can be, and the id each data set writes for it."""

import enum

import numpy as np

from msda_tf.labels import CITYSCAPES_IDS, SYNTHIA_ABSENT, SYNTHIA_IDS, SYNTHIA_LANE_MARKING


class Kind(enum.IntEnum):
    """The 19 classes in trainId order, then what only some data sets tell apart."""

    ROAD = 0
    SIDEWALK = 1
    BUILDING = 2
    WALL = 3
    FENCE = 4
    POLE = 5
    TRAFFIC_LIGHT = 6
    TRAFFIC_SIGN = 7
    VEGETATION = 8
    TERRAIN = 9
    SKY = 10
    PERSON = 11
    RIDER = 12
    CAR = 13
    TRUCK = 14
    BUS = 15
    TRAIN = 16
    MOTORCYCLE = 17
    BICYCLE = 18
    LANE_MARKING = 19
    STATIC = 20
    EGO_VEHICLE = 21
    OUT_OF_ROI = 22


def cityscapes_ids() -> np.ndarray:
    """uint8 `[23]`: Kind -> Cityscapes labelId, as Cityscapes and GTA5 write it."""
    return np.array([*CITYSCAPES_IDS, CITYSCAPES_IDS[Kind.ROAD], 4, 1, 3], np.uint8)


def synthia_ids() -> np.ndarray:
    """uint16 `[23]`: Kind -> SYNTHIA id; what SYNTHIA does not label (terrain, truck, train, the rest) is void, 0."""
    table = np.array([*SYNTHIA_IDS, SYNTHIA_LANE_MARKING, 0, 0, 0], np.uint16)
    table[[Kind[name.upper()] for name in SYNTHIA_ABSENT]] = 0
    return table
