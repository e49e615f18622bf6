"""Paving a street: which cross-sections it has, and where along it each applies."""

import numpy as np

from .ground import STEP, Section
from .kinds import Kind
from .scene import KERB_WIDTH, NOWHERE, Scene
from .style import pick

_PLAIN, _DASHED, _JUNCTION, _ZEBRA, _STOP, _JOINTS = range(6)
"""Numbers of the cross-sections; from _JOINTS on, plain and dashed again with a joint between the slabs."""


def pave(scene: Scene) -> None:
    """Gives the scene's ground its cross-sections."""
    plain, asphalt = _street(scene)
    materials, (left, right) = scene.style.materials, scene.sides
    grain = materials.grain

    def mark(section: Section, s: float, color, width: float = 0.14) -> None:
        section.paint(s - width / 2, s + width / 2, Kind.LANE_MARKING, color, grain * 0.3)

    double = materials.centre_line != materials.marking  # two lines of a colour of their own, never broken
    for side in scene.sides:
        mark(plain, side.sign * (side.lanes - 0.06), materials.marking)
    for s in (-0.13, 0.13) if double else ():
        mark(plain, s, materials.centre_line, 0.12)
    dashed = plain.copy()
    for side in scene.sides:
        for lane in range(1, scene.lane_count):
            mark(dashed, side.sign * lane * scene.style.layout.lane_width, materials.marking)
    if not double:
        mark(dashed, 0.0, materials.centre_line)
    zebra = plain.copy()
    zebra.paint(-left.kerb, right.kerb, Kind.ROAD, asphalt, grain)
    for s in np.arange(-left.kerb + 0.4, right.kerb - 0.5, 1.0):
        mark(zebra, s + 0.25, materials.marking, 0.5)
    stop = plain.copy()
    mark(stop, right.lanes / 2, materials.marking, right.lanes - 0.2)

    sections = [plain, dashed, Section(Kind.ROAD, asphalt, grain), zebra, stop]
    lengthwise = np.arange(plain.kinds.size) * STEP % 1.2 < 0.075
    for section in sections:
        section.darken((section.kinds == Kind.SIDEWALK) & lengthwise, materials.slabs * 0.8)
    for section in (plain, dashed):
        jointed = section.copy()
        jointed.darken(jointed.kinds == Kind.SIDEWALK, materials.slabs)
        sections.append(jointed)
    scene.ground.sections = sections
    _divide(scene)


def _street(scene: Scene) -> tuple[Section, np.ndarray]:
    """The cross-section without markings, and the colour of the asphalt."""
    style, rng = scene.style, scene.rng
    materials, grain = style.materials, style.materials.grain
    asphalt = np.multiply(pick(rng, materials.road), rng.uniform(0.92, 1.08))
    paving = np.multiply(pick(rng, materials.sidewalk), rng.uniform(0.92, 1.08))
    grass, rough = np.asarray(pick(rng, materials.terrain)), min(1.0, grain * 2.5)
    if style.layout.verge:
        section = Section(Kind.TERRAIN, grass, rough)
    else:  # a style without verges has no grass at all
        section = Section(Kind.SIDEWALK, paving * 0.92, grain)
    for side in scene.sides:

        def strip(start, end, kind, color, grain, sign=side.sign):
            section.paint(*sorted((sign * start, sign * end)), kind, color, grain)

        strip(side.walk, side.edge, Kind.SIDEWALK, paving, grain * 0.7)
        strip(side.kerb + KERB_WIDTH, side.walk, Kind.TERRAIN, grass, rough)
        strip(side.kerb, side.kerb + KERB_WIDTH, Kind.SIDEWALK, materials.kerb, grain * 0.5)
        strip(0, side.kerb, Kind.ROAD, asphalt, grain)
        strip(side.kerb - 0.3, side.kerb, Kind.ROAD, asphalt * 0.82, grain)  # the gutter
        for lane in range(scene.lane_count):
            for track in (0.3, 0.7):  # where wheels polish it
                s = (lane + track) * style.layout.lane_width
                strip(s - 0.3, s + 0.3, Kind.ROAD, asphalt * (1 - 0.06 * grain), grain)
    return section, asphalt


def _divide(scene: Scene) -> None:
    """Says where along the street each cross-section applies."""
    ground = scene.ground
    along = np.arange(ground.along.size) * STEP
    dashes = (along + scene.between(0, 9)) % 9 < 3.6
    joints = (along % 1.4 < 0.06) & (along < 40)
    ground.along[:] = np.where(dashes, _DASHED, _PLAIN) + np.where(joints, _JOINTS, 0)
    begin, end = scene.junction
    if scene.junction != NOWHERE:
        ground.use(_JUNCTION, begin, end)
        if scene.chance(0.7):
            ground.use(_ZEBRA, begin - 3.6, begin - 0.8)
            ground.use(_ZEBRA, end + 0.8, end + 3.6)
            ground.use(_STOP, begin - 5.0, begin - 4.6)
    elif scene.chance(0.35):
        z = scene.between(8, 40)
        ground.use(_ZEBRA, z, z + 3)
