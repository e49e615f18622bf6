"""The sky, and the skyline that closes the view at its foot."""

from functools import partial

import cv2
import numpy as np

from .canvas import Canvas
from .kinds import Kind
from .plants import VARIANTS, crown
from .style import Mood, Style, pick
from .textures import noise

_COARSE = 4
"""The sky is so soft that it is drawn at a quarter of its size."""


def draw_sky(canvas: Canvas, mood: Mood, rng: np.random.Generator) -> None:
    """Fills the whole canvas: a gradient from the top to the horizon, with clouds."""
    full = canvas.pixels.shape[:2]
    height, width = (max(2, side // _COARSE) for side in full)
    ahead = canvas.camera.homogeneous(np.array([[0.0, canvas.camera.position[1], 1000.0]]))[0]
    horizon = float(np.clip(ahead[1] / ahead[2] / _COARSE, height * 0.15, height))
    top, bottom = np.asarray(mood.sky, np.float32)
    fall = np.clip(np.arange(height, dtype=np.float32) / horizon, 0, 1)[:, None] ** np.float32(1.3)
    # Clouds are wider than high, and flatter towards the horizon.
    across = np.linspace(0, 90, width, dtype=np.float32)[None] + np.float32(rng.uniform(0, 256))
    down = 60 * fall**2 + np.float32(rng.uniform(0, 256))
    across, down = (np.ascontiguousarray(np.broadcast_to(side, (height, width))) for side in (across, down))
    field = cv2.remap(noise("clouds"), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    cover = np.clip((field + np.float32(3 * mood.cloudiness - 1.6)) * np.float32(0.55), 0, 0.95) * (1 - fall / 2)
    colors = (top + (bottom - top) * fall)[:, None]
    cloud = np.asarray(mood.cloud, np.float32) * (1 - np.float32(0.06) * np.clip(-field, -1, 2))[..., None]
    colors = colors + (cloud - colors) * cover[..., None]
    sky = np.empty((height, width, 4), np.uint8)
    sky[..., :3] = np.clip(colors, 0, 255)
    sky[..., 3] = Kind.SKY
    cv2.resize(sky, full[::-1], dst=canvas.pixels, interpolation=cv2.INTER_LINEAR)


def _visible_range(canvas: Canvas, distance: float) -> tuple[float, float]:
    """The world's X at the left and right edge of the picture, `distance` metres ahead, with a margin."""
    inverse = np.linalg.inv(canvas.camera.matrix)
    edges = inverse @ np.array([[0, canvas.camera.width], [canvas.camera.height / 2] * 2, [1, 1]])
    left, right = edges[0] / np.maximum(edges[2], 0.2) * distance
    return float(left) - 30, float(right) + 30


_COARSE = 4
"""The sky is so soft that it is drawn at a quarter of its size."""


def draw_skyline(canvas: Canvas, style: Style, mood: Mood, rng: np.random.Generator) -> None:
    """Far houses and trees along the whole horizon."""
    for distance in (320.0, 220.0):
        x, last = _visible_range(canvas, distance)
        while x < last:
            width = float(rng.uniform(24, 64))
            if rng.random() < 0.6:
                height = float(rng.uniform(6, 2.8 * style.layout.storeys[1] + 6))
                outline = np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]])
                canvas.polygon(outline + [x, 0, distance], pick(rng, style.materials.facades), int(Kind.BUILDING))
            x += width * float(rng.uniform(0.6, 1.1))
    lit = canvas.light.shade(np.array([0, 0.5, -0.5]))
    x, last = _visible_range(canvas, 170.0)
    while x < last:
        width = float(rng.uniform(36, 64))
        canvas.sprite(
            partial(crown, "bush", int(rng.integers(VARIANTS))),
            foot=(x, -0.5, 170.0),
            width=width,
            height=float(rng.uniform(4, 9)),
            tones=np.asarray(pick(rng, mood.foliage)) * lit,
            owner=int(Kind.VEGETATION),
        )
        x += width * 0.65
