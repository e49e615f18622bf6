"""People, bicycles and motorcycles: skeletons in space, drawn with rods and balls."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Rod
from .kinds import Kind
from .solids import turn
from .style import Materials, pick

_TYRE = (30, 30, 32)
_TURNS = np.linspace(0, 2 * np.pi, 15)
_RIM = np.stack([np.zeros(15), np.cos(_TURNS), np.sin(_TURNS)], axis=1)


@dataclass(frozen=True)
class Clothing:
    """Colours of one person, 0-255."""

    top: np.ndarray
    bottom: np.ndarray
    skin: np.ndarray
    hair: np.ndarray
    helmet: np.ndarray | None


def dress(materials: Materials, rng: np.random.Generator, helmet: float = 0.0) -> Clothing:
    """Random clothes; `helmet` is the probability of wearing one."""
    cap = np.asarray(pick(rng, materials.paints)) if rng.random() < helmet else None
    return Clothing(
        top=np.asarray(pick(rng, materials.clothes)) * rng.uniform(0.7, 1.2),
        bottom=np.asarray(pick(rng, materials.clothes)) * rng.uniform(0.35, 0.75),
        skin=np.asarray(pick(rng, materials.skin)) * rng.uniform(0.9, 1.1),
        hair=np.array([64, 48, 36]) * rng.uniform(0.3, 1.8),
        helmet=cap,
    )


class _Skeleton:
    """Collects the rods of one figure in its own coordinates: x to its right, y up, z forward, in metres."""

    def __init__(self, canvas: Canvas, kind: Kind, scale: float = 1.0):
        self.canvas, self.owner, self.scale = canvas, canvas.own(kind), scale
        self.points: list[tuple[float, float, float]] = []
        self.rods: list[Rod] = []

    def rod(self, joints, radius: float, color):
        self.points.extend(joints)
        self.rods.append(Rod(len(joints), radius * self.scale, color, self.owner))

    def ball(self, joint, radius: float, color):
        self.rod([joint], radius, color)

    def wheel(self, z: float, radius: float, thickness: float, rim):
        self.rod((_RIM * radius + [0, radius, z]).tolist(), thickness, _TYRE)
        if rim is not None:
            self.rod([(0, radius, z - radius), (0, radius, z + radius)], 0.006, rim)
            self.rod([(0, 0, z), (0, 2 * radius, z)], 0.006, rim)
        else:
            self.ball((0, radius, z), radius * 0.5, (120, 122, 126))

    def draw(self, at: np.ndarray, heading: float):
        """Draws the figure at the world point `at`, turned `heading` radians to the right."""
        points = turn(np.array(self.points) * self.scale, heading) + at
        self.canvas.rods(points, self.rods, least=1)


def _upper_body(body: _Skeleton, hip: tuple, neck: tuple, hands: tuple, wear: Clothing) -> None:
    """Torso, arms and head; `hip` and `neck` are (y, z) in the body's middle, `hands` (y, z) of the left and right."""
    (hip_y, hip_z), (neck_y, neck_z) = hip, neck
    up, forward = neck_y - hip_y, neck_z - hip_z
    shoulder = hip_y + 0.9 * up, hip_z + 0.9 * forward
    for side, (hand_y, hand_z) in zip((-1, 1), hands, strict=True):
        hand = side * 0.3, hand_y, hand_z
        elbow = side * 0.3, (shoulder[0] + hand_y) / 2 - 0.07, (shoulder[1] + hand_z) / 2 - 0.03
        body.rod([(side * 0.2, *shoulder), elbow, hand], 0.055, wear.top * 0.88)
        body.ball(hand, 0.05, wear.skin)
    for side in (-1, 1):
        body.rod([(side * 0.07, *hip), (side * 0.1, *shoulder)], 0.11, wear.top)
    length = (up**2 + forward**2) ** 0.5
    head = 0, neck_y + 0.2 * up / length, neck_z + 0.2 * forward / length
    body.rod([(0, *neck), head], 0.055, wear.skin)
    body.ball(head, 0.125, wear.skin)
    size, crown = (0.12, wear.hair) if wear.helmet is None else (0.16, wear.helmet)
    body.ball((0, head[1] + 0.05, head[2] - 0.02), size, crown)


def draw_person(canvas: Canvas, at, heading: float, wear: Clothing, rng: np.random.Generator) -> None:
    """A person standing or walking at the world point `at`."""
    body = _Skeleton(canvas, Kind.PERSON, float(rng.uniform(0.9, 1.06)))
    stride, lift = float(rng.uniform(0.02, 0.36)), float(rng.uniform(0, 0.12))
    for side, step in ((-1, -stride), (1, stride)):
        hip, foot = [side * 0.09, 0.92, 0], [side * 0.1, 0.05 + (lift if step < 0 else 0), step]
        body.rod([hip, [side * 0.1, 0.48, step * 0.4 + 0.05], foot], 0.085, wear.bottom)
        body.rod([foot, [side * 0.1, foot[1], step + 0.12]], 0.06, (40, 36, 34))
    if rng.random() < 0.3:  # coat or skirt
        body.rod([[0, 1.0, 0], [0, 0.62, 0]], 0.19, wear.top)
    _upper_body(body, (0.92, 0), (1.47, 0.02), ((0.85, stride * 0.8), (0.85, -stride * 0.8)), wear)
    if rng.random() < 0.25:
        body.rod([[0.3, 0.8, -stride * 0.8], [0.3, 0.52, -stride * 0.8]], 0.13, rng.uniform(20, 190, 3))  # bag
    body.draw(at, heading)


def draw_bicycle(canvas: Canvas, at, heading: float, color, wear: Clothing | None) -> None:
    """A bicycle at the world point `at`, ridden if clothes for a rider are given."""
    body = _Skeleton(canvas, Kind.BICYCLE)
    for z in (-0.52, 0.52):
        body.wheel(z, 0.34, 0.032, (150, 150, 150))
    crank, saddle, head, rear, front = (0, 0.32, 0), (0, 0.86, -0.2), (0, 0.86, 0.36), (0, 0.34, -0.52), (0, 0.34, 0.52)
    for line in ((rear, crank, head, saddle, crank), (saddle, rear), (head, front)):
        body.rod(line, 0.028, color)
    body.rod([head, (0, 1.02, 0.4)], 0.025, color)
    body.rod([(-0.29, 1.04, 0.34), (0, 1.04, 0.42), (0.29, 1.04, 0.34)], 0.025, (44, 44, 46))
    body.rod([(0, 0.92, -0.3), (0, 0.92, -0.1)], 0.06, (40, 36, 34))
    body.draw(at, heading)
    if wear is not None:
        rider = _Skeleton(canvas, Kind.RIDER)
        for side, knee, foot in ((-1, (0.62, 0.14), (0.2, 0.03)), (1, (0.8, 0.2), (0.48, 0.0))):
            x = side * 0.12
            rider.rod([(x, 0.98, -0.2), (x * 1.3, *knee), (x, *foot)], 0.085, wear.bottom)
        _upper_body(rider, (0.98, -0.2), (1.48, 0.06), ((1.06, 0.34), (1.06, 0.34)), wear)
        rider.draw(at, heading)


def draw_motorcycle(canvas: Canvas, at, heading: float, color, wear: Clothing | None) -> None:
    """A motorcycle at the world point `at`, ridden if clothes for a rider are given."""
    body = _Skeleton(canvas, Kind.MOTORCYCLE)
    color = np.asarray(color, float)
    for z in (-0.68, 0.7):
        body.wheel(z, 0.3, 0.085, None)
    body.rod([(0, 0.42, -0.35), (0, 0.42, 0.3)], 0.17, (58, 58, 62))  # engine
    body.rod([(0, 0.3, 0.7), (0, 0.95, 0.46)], 0.05, (150, 152, 156))  # fork
    body.rod([(0, 0.72, 0.38), (0, 0.74, 0.05)], 0.17, color)  # tank
    body.rod([(0, 0.72, 0.0), (0, 0.76, -0.62)], 0.12, color * 0.5)  # seat
    body.rod([(0, 0.66, -0.6), (0, 0.72, -0.86)], 0.1, color)  # tail
    body.rod([(-0.36, 1.04, 0.36), (0, 1.0, 0.46), (0.36, 1.04, 0.36)], 0.035, (50, 50, 52))
    body.rod([(0.17, 0.3, -0.1), (0.19, 0.36, -0.8)], 0.06, (160, 160, 164))  # exhaust
    body.ball((0, 0.9, 0.56), 0.11, (244, 242, 220))
    body.ball((0, 0.72, -0.95), 0.07, (196, 30, 24))
    body.draw(at, heading)
    if wear is not None:
        rider = _Skeleton(canvas, Kind.RIDER)
        for side in (-1, 1):
            x = side * 0.22
            rider.rod([(side * 0.1, 0.86, -0.22), (x, 0.66, 0.2), (x, 0.32, -0.08)], 0.095, wear.bottom)
        _upper_body(rider, (0.86, -0.24), (1.4, 0.0), ((1.06, 0.34), (1.06, 0.34)), wear)
        rider.draw(at, heading)
