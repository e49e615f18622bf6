"""What stands and walks along the sidewalks: trees, poles, lights, signs, bins, people, cycles."""

import math
from collections.abc import Iterator

import numpy as np

from .figures import draw_bicycle, draw_motorcycle, draw_person, dress
from .furniture import draw_bollard, draw_lamp, draw_sign, draw_traffic_light
from .kinds import Kind
from .plants import draw_tree, tree_size
from .scene import Scene, Side
from .style import Range, pick
from .traffic import drive, place
from .vehicles import template

_SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])


def fill_sidewalk(scene: Scene, side: Side) -> None:
    """Queues everything of one side that is not traffic, and the riders at the edge of its road."""
    _plant(scene, side)
    _furnish(scene, side)
    _people(scene, side)
    for s, z in _spots(scene, side, scene.style.crowd.riders, (5.5, 30), (side.lanes - 0.9, side.lanes - 0.2)):
        drive(scene, "motorcycle" if scene.chance(0.3) else "bicycle", s, z, 0.0 if side.sign > 0 else math.pi)


def _spots(scene: Scene, side: Side, mean: float, ahead: Range, across: Range) -> Iterator[tuple[float, float]]:
    """Street coordinates (s, z) of things, on average `mean` of them, none in the crossing street.

    Args:
      scene, side: where.
      mean: expected number.
      ahead: range of z.
      across: range of the distance from the street's middle.
    """
    for _ in range(int(scene.rng.poisson(mean))):
        z = 1 / scene.between(1 / ahead[1], 1 / ahead[0])  # as many near as far in the picture
        s = side.sign * scene.between(*across)
        if not scene.in_junction(z) and scene.canvas.in_sight(scene.point(s, z), 4):
            yield s, z


def _furniture_strip(side: Side) -> Range:
    """Trees and poles stand at the edge of the sidewalk, or on the verge."""
    return side.kerb + 0.5, max(side.kerb + 0.6, min(side.walk + 0.6, side.edge - 0.3))


def _plant(scene: Scene, side: Side) -> None:
    canvas, shape = scene.canvas, pick(scene.rng, scene.style.materials.crowns)
    for s, z in _spots(scene, side, scene.style.crowd.trees, (8, 70), _furniture_strip(side)):
        at, size = scene.point(s, z), tree_size(shape, scene.rng)
        scene.cast(at[[0, 2]] + size[2] * 0.4 * _SQUARE, size[1] * 0.8)
        scene.draw_later(z, lambda at=at, size=size: draw_tree(canvas, at, shape, size, scene.mood, scene.rng))


def _furnish(scene: Scene, side: Side) -> None:
    crowd, canvas, materials, rng = scene.style.crowd, scene.canvas, scene.style.materials, scene.rng
    strip, inward = _furniture_strip(side), -side.sign
    for s, z in _spots(scene, side, crowd.lamps, (7, 60), strip):
        at = scene.point(s, z)
        scene.cast(at[[0, 2]] + 0.1 * _SQUARE, 6)
        scene.draw_later(z, lambda at=at: draw_lamp(canvas, at, inward, materials, rng))
    for s, z in _spots(scene, side, crowd.signs, (8, 36), strip):
        at = scene.point(s, z)
        scene.cast(at[[0, 2]] + 0.15 * _SQUARE, 2.5)
        scene.draw_later(z, lambda at=at: draw_sign(canvas, at, materials, rng))
    for s, z in _spots(scene, side, crowd.lights, (8, 34), strip):
        at, mast = scene.point(s, z), scene.between(2.5, 5.5) if scene.chance(crowd.masts) else 0.0
        scene.draw_later(z, lambda at=at, mast=mast: draw_traffic_light(canvas, at, inward, mast, materials, rng))
    if scene.chance(0.25):
        start = scene.between(5, 20)
        for z in start + 1.8 * np.arange(rng.integers(3, 8)):
            at = scene.point(side.sign * (side.kerb + 0.45), z)
            scene.draw_later(z, lambda at=at: draw_bollard(canvas, at, materials, rng))
    for s, z in _spots(scene, side, crowd.litter, (5, 30), (side.walk, side.edge)):
        solid = template("bin", rng)
        place(scene, Kind.STATIC, solid, scene.point(s, z), scene.between(-0.2, 0.2), z)


def _people(scene: Scene, side: Side) -> None:
    crowd, canvas, materials, rng = scene.style.crowd, scene.canvas, scene.style.materials, scene.rng
    for s, z in _spots(scene, side, crowd.persons, (4.5, 40), (side.walk + 0.2, side.edge - 0.2)):
        at, wear = scene.point(s, z), dress(materials, rng)
        heading = scene.between(0, 2 * math.pi) if scene.chance(0.3) else pick(rng, (0.0, math.pi))
        scene.cast(at[[0, 2]] + 0.2 * _SQUARE, 1.7)
        scene.draw_later(z, lambda at=at, heading=heading, wear=wear: draw_person(canvas, at, heading, wear, rng))
    for s, z in _spots(scene, side, crowd.parked_cycles, (5, 28), (side.walk, side.edge - 0.3)):
        draw = draw_motorcycle if scene.chance(0.35) else draw_bicycle
        at, heading = scene.point(s, z), scene.between(0, 2 * math.pi)
        color = np.asarray(pick(rng, materials.paints))
        scene.cast(at[[0, 2]] + 0.4 * _SQUARE, 0.9)
        scene.draw_later(
            z, lambda draw=draw, at=at, heading=heading, color=color: draw(canvas, at, heading, color, None)
        )
