"""Poles and what they carry: lamps, traffic lights and signs."""

import numpy as np

from .canvas import Canvas
from .kinds import Kind
from .style import Materials, pick

_RED, _WHITE, _BLUE, _BLACK = (190, 24, 28), (236, 236, 232), (24, 70, 160), (28, 28, 30)


def _facing(centre, outline, scale: float = 1.0) -> np.ndarray:
    """World points `[N, 3]` of a flat shape (x, y) in metres around `centre`, facing back along the street."""
    outline = np.asarray(outline, float) * scale
    return np.column_stack([outline, np.zeros(len(outline))]) + centre


def _ring(corners: int, start: float = 0.0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + start
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def draw_lamp(canvas: Canvas, foot, inward: float, materials: Materials, rng: np.random.Generator) -> None:
    """A street lamp at the world point `foot`; its arm points to `inward` (-1 or 1 in X)."""
    x, y, z = foot
    color, owner = np.asarray(pick(rng, materials.poles)), int(Kind.POLE)
    height, arm = float(rng.uniform(5, 8.5)), inward * float(rng.uniform(0.8, 2.2))
    canvas.pole([[x, y, z], [x, 1.0, z]], 0.11, color * 0.9, owner)
    canvas.pole([[x, 0.9, z], [x, height, z], [x + arm * 0.5, height + 0.5, z], [x + arm, height + 0.5, z]],
                  0.065, color, owner)  # fmt: skip
    canvas.pole([[x + arm, height + 0.45, z], [x + arm * 1.35, height + 0.4, z]], 0.12, (214, 214, 206), owner)


def draw_bollard(canvas: Canvas, foot, materials: Materials, rng: np.random.Generator) -> None:
    """A short post that keeps cars off the sidewalk."""
    x, y, z = foot
    canvas.pole([[x, y, z], [x, 0.95, z]], 0.085, pick(rng, materials.poles), int(Kind.POLE))
    canvas.pole([[x, 0.72, z], [x, 0.85, z]], 0.09, _WHITE, int(Kind.POLE))


def _housing(canvas: Canvas, centre, color, lit: int, turned_away: bool) -> None:
    """Three lamps in a box; `lit` is 0 for red, 1 for amber, 2 for green."""
    owner, color = canvas.own(Kind.TRAFFIC_LIGHT), np.asarray(color, float)
    canvas.polygon(_facing(centre, [[-0.24, -0.6], [0.24, -0.6], [0.24, 0.6], [-0.24, 0.6]]), color, owner)
    if turned_away:
        return
    canvas.polygon(_facing(centre, [[-0.19, -0.54], [0.19, -0.54], [0.19, 0.54], [-0.19, 0.54]]), _BLACK, owner)
    for index, (height, bright) in enumerate(((0.36, (255, 60, 40)), (0, (255, 190, 40)), (-0.36, (70, 255, 140)))):
        shine = 1.7 if index == lit else 0.22
        centre_of_lamp = [np.add(centre, [0, height, -0.02])]
        canvas.pole(centre_of_lamp, 0.155, np.multiply(bright, shine).clip(0, 330), owner, least=1)


def draw_traffic_light(canvas: Canvas, foot, inward: float, mast: float, materials: Materials, rng) -> None:
    """A traffic light on its post at the world point `foot`.

    Args:
      canvas: to draw on.
      foot: world point.
      inward: -1 or 1, the direction of the road in X.
      mast: length of an arm over the road in metres, 0 for none.
      materials: colours.
      rng: source of randomness.
    """
    x, y, z = foot
    color, lit = np.asarray(pick(rng, materials.poles)), int(rng.integers(3))
    away = rng.random() < 0.2
    if mast:
        canvas.pole([[x, y, z], [x, 5.6, z], [x + inward * mast, 5.9, z]], 0.1, color, int(Kind.POLE))
        for share in (0.55, 1.0):
            _housing(canvas, (x + inward * mast * share, 5.3, z - 0.1), materials.lamp_housing, lit, away)
        _housing(canvas, (x, 2.9, z - 0.12), materials.lamp_housing, lit, away)
    else:
        height = float(rng.uniform(2.6, 3.4))
        canvas.pole([[x, y, z], [x, height, z]], 0.08, color, int(Kind.POLE))
        _housing(canvas, (x, height, z - 0.1), materials.lamp_housing, lit, away)


def draw_sign(canvas: Canvas, foot, materials: Materials, rng: np.random.Generator) -> None:
    """One or two traffic signs on a post at the world point `foot`."""
    x, y, z = foot
    color, shape = pick(rng, materials.poles), pick(rng, materials.sign_shapes)
    if shape == "board":  # directions, on two posts
        wide, high, bottom = float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.35, 0.6)), float(rng.uniform(2.0, 2.5))
        for side in (-0.6, 0.6):
            canvas.pole([[x + side * wide, y, z], [x + side * wide, bottom + high, z]], 0.06, color, int(Kind.POLE))
        owner = canvas.own(Kind.TRAFFIC_SIGN)
        back = pick(rng, ((20, 110, 70), _BLUE, (226, 186, 40), _WHITE))
        ink = _BLACK if sum(back) > 400 else _WHITE
        centre, box = (
            (x, bottom + high, z - 0.08),
            np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]]),
        )
        canvas.polygon(_facing(centre, box), ink, owner)
        canvas.polygon(_facing(centre, box, 0.94), back, owner)
        for line in (0.4, -0.25):
            length = wide * float(rng.uniform(0.3, 0.75))
            text = [[-wide * 0.8, line * high], [-wide * 0.8 + length * 2, line * high]]
            canvas.pole(_facing(np.add(centre, [0, 0, -0.02]), text), high * 0.11, ink, owner, least=1)
        return
    height = float(rng.uniform(2.1, 2.9))
    canvas.pole([[x, y, z], [x, height + 0.3, z]], 0.05, color, int(Kind.POLE))
    for level in range(1 + int(rng.random() < 0.3)):
        _plate(canvas, (x, height - 0.95 * level, z - 0.08), shape, rng)
        shape = pick(rng, materials.sign_shapes)
        shape = "disc" if shape == "board" else shape


def _plate(canvas: Canvas, centre, shape: str, rng: np.random.Generator) -> None:
    owner, size = canvas.own(Kind.TRAFFIC_SIGN), float(rng.uniform(0.42, 0.52))
    above = np.add(centre, [0, 0, -0.01])
    if shape == "triangle":
        ring, back, ink = _ring(3, np.pi / 2 + (np.pi if rng.random() < 0.25 else 0)), _WHITE, _RED
        canvas.polygon(_facing(centre, ring, size * 1.15), ink, owner)
        canvas.polygon(_facing(above, ring, size * 0.66), back, owner)
    elif shape == "disc":
        back, ink = pick(rng, ((_WHITE, _RED), (_RED, _WHITE), (_BLUE, _WHITE), (_BLUE, _RED)))
        canvas.polygon(_facing(centre, _ring(14), size), ink, owner)
        canvas.polygon(_facing(above, _ring(14), size * (0.72 if ink == _RED else 0.92)), back, owner)
        if back in (_RED, _BLUE):
            canvas.polygon(
                _facing(above, [[-0.6, -0.16], [0.6, -0.16], [0.6, 0.16], [-0.6, 0.16]], size), _WHITE, owner
            )
    elif shape == "octagon":
        canvas.polygon(_facing(centre, _ring(8, np.pi / 8), size), _WHITE, owner)
        canvas.polygon(_facing(above, _ring(8, np.pi / 8), size * 0.92), _RED, owner)
        canvas.polygon(_facing(above, [[-0.6, -0.18], [0.6, -0.18], [0.6, 0.18], [-0.6, 0.18]], size), _WHITE, owner)
    else:
        canvas.polygon(_facing(centre, _ring(4), size * 1.15), _BLACK, owner)
        canvas.polygon(_facing(above, _ring(4), size * 1.02), (240, 190, 30), owner)
        canvas.polygon(_facing(above, [[-0.1, -0.5], [0.1, -0.5], [0.1, 0.5], [-0.1, 0.5]], size), _BLACK, owner)
