"""Trees and bushes: cut-outs of leaf clumps, lit from above."""

from functools import cache, partial

import cv2
import numpy as np

from .canvas import Canvas
from .kinds import Kind
from .style import Mood

VARIANTS = 8
"""Different cut-outs of each shape."""

_SIDE = 128

# Shape -> width / height of the crown, height of its lower edge and of its top in metres (smallest, largest).
_SHAPES = {
    "broad": (1.05, (1.9, 2.8), (6.0, 10.5)),
    "tall": (0.42, (1.2, 2.0), (8.0, 13.0)),
    "conifer": (0.5, (0.6, 1.2), (6.0, 12.0)),
    "palm": (1.3, (5.0, 8.0), (7.0, 11.0)),
}


@cache
def crown(shape: str, variant: int, level: int) -> np.ndarray:
    """A cut-out of brightness and opacity.

    Args:
      shape: broad, tall, conifer, palm or bush.
      variant: below VARIANTS.
      level: how often its sides are halved.

    Returns:
      uint8 `[128 >> level, 128 >> level, 2]`.
    """
    if level:
        return cv2.resize(crown(shape, variant, 0), None, fx=0.5**level, fy=0.5**level, interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng([len(shape), variant])
    stamp = np.zeros((_SIDE, _SIDE, 2), np.uint8)
    if shape == "palm":
        for angle in np.linspace(-0.25, np.pi + 0.25, 13) + rng.normal(0, 0.1, 13):
            t = np.linspace(0, 1, 9)
            x = 64 + np.cos(angle) * 60 * t
            y = 62 - np.sin(angle) * 52 * t + 46 * t**2
            tone = int(90 + 100 * max(0.0, np.sin(angle)) + rng.integers(0, 40))
            points = np.int32(np.stack([x, y], axis=1))
            cv2.polylines(stamp, [points], False, (tone, 255), 6)
            cv2.polylines(stamp, [points + [0, 4]], False, (tone // 2, 255), 2)
        return stamp
    clumps = []
    while len(clumps) < (150 if shape != "bush" else 110):
        x, y = rng.uniform(-1, 1, 2)
        if shape == "conifer":
            inside = abs(x) < 0.08 + 0.42 * (y + 1)
        elif shape == "bush":
            inside = y > -0.55 + 0.5 * x**4 + 0.25 * np.sin(5 * x + variant)
        else:
            inside = x**2 + y**2 < 0.8 + 0.2 * np.sin(3 * np.arctan2(y, x) + variant)
        if inside:
            clumps.append((y, x, float(rng.uniform(0.07, 0.19))))
    clumps.sort(reverse=True)  # from the bottom up: upper clumps lie over lower ones
    for y, x, size in clumps:
        centre = (int(64 + 52 * x), int(64 + 52 * y))
        light = 118 - 78 * y + 24 * x + rng.normal(0, 26)  # sunlit above, dark below
        radius = int(size * 64)
        cv2.circle(stamp, centre, radius, (int(np.clip(light - 46, 0, 255)), 255), -1)
        above = (centre[0] - radius // 4, centre[1] - radius // 3)
        cv2.circle(stamp, above, int(radius * 0.72), (int(np.clip(light, 0, 255)), 255), -1)
    leaves = cv2.resize(rng.normal(0, 1, (64, 64)).astype(np.float32), (_SIDE, _SIDE))
    stamp[..., 0] = np.clip(stamp[..., 0] + 24 * leaves, 0, 255)
    if shape == "bush":
        stamp[-8:, 8:-8] = (40, 255)
    else:
        stamp[..., 1][leaves > 1.5] = 0  # sky shines through
    return stamp


def _tones(canvas: Canvas, mood: Mood, rng: np.random.Generator) -> np.ndarray:
    tones = np.asarray(mood.foliage[int(rng.integers(len(mood.foliage)))], float) * rng.uniform(0.85, 1.15)
    return tones * canvas.light.shade(np.array([0.0, 0.6, -0.4]))


def tree_size(shape: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """Height of the crown's lower edge, height of its top, and its width, in metres."""
    aspect, bottom, top = _SHAPES[shape]
    low, high = float(rng.uniform(*bottom)), float(rng.uniform(*top))
    return low, high, (high - low) * aspect * float(rng.uniform(0.85, 1.15)) if shape != "palm" else 3.8


def draw_tree(canvas: Canvas, foot, shape: str, size, mood: Mood, rng: np.random.Generator) -> None:
    """A tree whose trunk stands at the world point `foot`; trunk and crown are vegetation."""
    low, high, width = size
    x, y, z = foot
    owner = int(Kind.VEGETATION)
    bark = np.array([92, 76, 60]) * rng.uniform(0.6, 1.1)
    lean = float(rng.normal(0, 0.15))
    trunk = np.array([[x, y, z], [x + lean / 2, low / 2, z], [x + lean, low + 0.25 * (high - low), z]])
    canvas.pole(trunk, 0.06 + 0.011 * high, bark, owner)
    tones = _tones(canvas, mood, rng)
    variant = int(rng.integers(VARIANTS))
    canvas.sprite(
        partial(crown, shape, variant),
        foot=(x + lean, low - 0.2, z),
        width=width,
        height=high - low,
        tones=tones,
        owner=owner,
    )


def draw_bush(canvas: Canvas, foot, width: float, height: float, mood: Mood, rng: np.random.Generator) -> None:
    """A bush or a piece of hedge at the world point `foot`."""
    tones = _tones(canvas, mood, rng) * 0.9
    canvas.sprite(
        partial(crown, "bush", int(rng.integers(VARIANTS))),
        foot=foot,
        width=width,
        height=height,
        tones=tones,
        owner=int(Kind.VEGETATION),
    )
