"""Vehicles: moving in their lanes, parked at the kerb, and crossing."""

import math

import numpy as np

from .figures import draw_bicycle, draw_motorcycle, dress
from .kinds import Kind
from .scene import Scene, Side
from .solids import Solid, draw_solid
from .style import pick
from .vehicles import template

FARTHEST = 85.0
"""Vehicles drive up to this many metres ahead."""


def fill_lanes(scene: Scene) -> None:
    """Queues the traffic of every lane."""
    crowd, layout, rng = scene.style.crowd, scene.style.layout, scene.rng
    lanes = [
        (sign * (lane + 0.5) * layout.lane_width, heading)
        for sign, heading in ((-1, math.pi), (1, 0.0))
        for lane in range(scene.lane_count)
    ]
    own = scene.canvas.camera.position[0]
    leader = int(rng.integers(len(lanes))) if scene.chance(crowd.leading) else -1
    for index, (s, heading) in enumerate(lanes):
        ahead = abs(s - own) < layout.lane_width * 0.75
        z = scene.between(9 if ahead else 4, 26)
        kind = pick(rng, tuple(crowd.traffic) if index == leader else crowd.traffic)
        while z < FARTHEST:
            z += drive(scene, kind, s, z, heading) + scene.between(*crowd.spacing)
            kind = pick(rng, crowd.traffic)


def park_cars(scene: Scene, side: Side) -> None:
    """Queues cars along the kerb."""
    crowd = scene.style.crowd
    z, s = scene.between(2, 7), side.sign * (side.kerb - 1.15)
    while z < 65:
        if scene.in_junction(z + 2.5, 7):
            z = scene.junction[1] + 7
            continue
        if scene.chance(crowd.parked):
            kind = "truck" if "truck" in crowd.traffic and scene.chance(0.05) else "car"
            z += drive(scene, kind, s, z, 0.0 if side.sign > 0 or scene.chance(0.2) else math.pi)
        else:
            z += 4.5
        z += scene.between(0.8, 1.8)


def cross_junction(scene: Scene) -> None:
    """Queues a vehicle in the crossing street, in some of the scenes where that is near."""
    if scene.junction[0] > 60 or not scene.chance(0.4):
        return
    z, s = sum(scene.junction) / 2 + scene.between(-2, 2), scene.between(-9, 9)
    kind = pick(scene.rng, scene.style.crowd.traffic)
    drive(scene, kind, s, z - 1.3, math.pi / 2 * pick(scene.rng, (-1, 1)), across=True)


def drive(scene: Scene, kind: str, s: float, z: float, heading: float, *, across: bool = False) -> float:
    """Queues a vehicle at street coordinates (s, z), z being its near end.

    Args:
      scene: where.
      kind: car, truck, bus, train, motorcycle or bicycle; the last two with their riders.
      s, z: metres.
      heading: radians to the right of the street's direction.
      across: whether it stands across the street.

    Returns:
      its length in metres.
    """
    solid = None if kind in ("motorcycle", "bicycle") else template(kind, scene.rng)
    length = 2.0 if solid is None else float(np.ptp(solid.footprint[:, 1]))
    middle = z + (1.3 if across else length / 2)
    x, bend = scene.canvas.camera.street(s + scene.between(-0.3, 0.3), middle)
    at = np.array([x, 0.0, middle])
    if solid is None:
        _ride(scene, kind, at, bend + heading, z)
    else:
        place(scene, Kind[kind.upper()], solid, at, bend + heading, z)
    return length


def _ride(scene: Scene, kind: str, at: np.ndarray, heading: float, nearest: float) -> None:
    materials, canvas = scene.style.materials, scene.canvas
    if not canvas.in_sight(at, 2):
        return
    draw, helmet = (draw_motorcycle, 0.95) if kind == "motorcycle" else (draw_bicycle, 0.4)
    color, wear = np.asarray(pick(scene.rng, materials.paints)), dress(materials, scene.rng, helmet)
    scene.cast(at[[0, 2]] + [[-0.2, -0.8], [0.2, -0.8], [0.2, 0.8], [-0.2, 0.8]], 1.5)
    scene.draw_later(nearest, lambda: draw(canvas, at, heading, color, wear))


def place(scene: Scene, kind: Kind, solid: Solid, at: np.ndarray, heading: float, nearest: float) -> None:
    """Queues a solid at the world point `at`, and lays its shadow and the dark gap below it on the ground."""
    canvas = scene.canvas
    if not canvas.in_sight(at, 1.5 + solid.footprint[2, 1]):
        return
    cos, sin = math.cos(heading), math.sin(heading)
    footprint = solid.footprint @ np.array([[cos, -sin], [sin, cos]]) + at[[0, 2]]
    scene.cast(footprint, solid.height)
    colors = _colors(scene, kind)

    def draw():
        if kind != Kind.STATIC:
            gap = np.column_stack([footprint[:, 0], np.zeros(4), footprint[:, 1]])
            canvas.polygon(gap, (26, 26, 28), int(Kind.ROAD), normal=(0, 1, 0))
        draw_solid(canvas, solid, at, heading, colors, canvas.own(kind))

    scene.draw_later(nearest, draw)


def _colors(scene: Scene, kind: Kind) -> dict[str, np.ndarray]:
    """Colours of a vehicle's materials."""
    materials, rng = scene.style.materials, scene.rng
    choice = {Kind.BUS: materials.buses, Kind.TRAIN: materials.trains}.get(kind, materials.paints)
    dark, bright = np.asarray(materials.glass, float)
    return {
        "paint": np.asarray(pick(rng, choice)) * rng.uniform(0.85, 1.1),
        "glass": dark + (bright - dark) * rng.uniform(0.02, 0.3),
        "cargo": np.asarray(pick(rng, materials.cargo)) * rng.uniform(0.85, 1.1),
        "trim": pick(rng, materials.paints),
        "tyre": (24, 24, 26),
        "hub": (128, 130, 134),
        "dark": (42, 42, 46),
        "bumper": (150, 60, 50),
        "red": (214, 36, 30),
        "lamp": (250, 246, 226),
        "plate": (226, 226, 214),
        "board": (236, 160, 40),
    }
