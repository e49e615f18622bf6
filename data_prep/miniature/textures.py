"""Noise, facades, walls and fences: the flat textures that the scene puts on its surfaces.

Textures are made once for each combination of their arguments and kept, with all randomness keyed on the arguments:
a frame's pixels do not depend on which frames were drawn before it.
"""

import zlib
from functools import cache

import cv2
import numpy as np

from .style import Color

LENGTH = 24.0
"""Metres that a facade, wall or fence texture covers from left to right; shorter ones use a part."""

TALLEST = 42.0
"""Metres that a facade texture covers from bottom to top."""

VARIANTS = 2
"""Different walls of the same colour."""


@cache
def noise(kind: str) -> np.ndarray:
    """Tileable noise, float32 `[256, 256]`, zero mean, standard deviation 1.

    Args:
      kind: "grain" (asphalt, plaster), "patches" (stains, grass) or "clouds".
    """
    seed, slope = {"grain": (1, 0.35), "patches": (2, 1.0), "clouds": (3, 1.7)}[kind]
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((256, 256)))
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = np.inf
    texture = np.fft.irfft2(spectrum / frequency**slope, s=(256, 256))
    return (texture / texture.std()).astype(np.float32)


def _generator(*key) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def _finish(texture: np.ndarray, relief: float, rng: np.random.Generator, solid=255) -> np.ndarray:
    """Adds stains and grain to float32 `[h, w, 3]`; returns uint8 `[h, w, 4]` with solidity."""
    rows, columns = texture.shape[:2]
    top, left = (int(value) for value in rng.integers(0, 256, 2))
    field = np.tile(0.05 * noise("patches") + 0.045 * noise("grain"), (rows // 256 + 2, columns // 256 + 2))
    texture *= (1 + relief * field[top : top + rows, left : left + columns])[..., None]
    out = np.empty((rows, columns, 4), np.uint8)
    out[..., :3] = np.clip(texture, 0, 255)
    out[..., 3] = solid
    return out


def shrunk(texture: np.ndarray, level: int) -> np.ndarray:
    """The texture with its sides halved `level` times by averaging."""
    if level == 0:
        return texture
    rows, columns = texture.shape[:2]
    extent = (max(1, columns >> level), max(1, rows >> level))
    return cv2.resize(texture, extent, interpolation=cv2.INTER_AREA)


@cache
def facade(
    color: Color,
    glass: tuple[Color, Color],
    pattern: str,
    relief: float,
    shop: bool,
    detail: int,
    level: int,
) -> tuple[np.ndarray, float]:
    """A house front, much higher than needed: use as many storeys from the bottom as the house has.

    Args:
      color: of the wall.
      glass: (dark, bright) colours of the windows.
      pattern: of the windows: punched, ribbon, curtain or balcony.
      relief: strength of the wall's texture, 0-1.
      shop: whether the ground floor has shop windows.
      detail: texels per metre at level 0.
      level: how often its sides are halved.

    Returns:
      uint8 `[h, w, 4]`, LENGTH metres wide and TALLEST high; the height of a storey in metres.
    """
    if level:
        texture, storey = facade(color, glass, pattern, relief, shop, detail, 0)
        return shrunk(texture, level), storey
    rng = _generator("facade", color, pattern, shop)
    storey = float(rng.uniform(2.9, 3.6))
    pitch = {"punched": rng.uniform(1.9, 3.0), "ribbon": 3.2, "curtain": rng.uniform(1.4, 2.0), "balcony": 3.6}[pattern]
    rows, columns = round(storey * detail), round(pitch * detail)
    storey = rows / detail
    height, width = round(TALLEST * detail), round(LENGTH * detail)
    wall = np.asarray(color, np.float32)
    dark, bright = np.asarray(glass, np.float32)
    cell = np.empty((rows, columns, 3), np.float32)
    cell[:] = wall
    pane = np.zeros((rows, columns, 1), np.float32)  # 1 where the cell is glass

    def box(left, top, right, bottom, value, of=cell):
        across, down = (int(left * columns), round(right * columns)), (int(top * rows), round(bottom * rows))
        of[max(0, down[0]) : max(down[0] + 1, down[1]), max(0, across[0]) : max(across[0] + 1, across[1])] = value

    if pattern == "punched":
        side, top = rng.uniform(0.2, 0.3), rng.uniform(0.16, 0.26)
        box(side - 0.06, top - 0.06, 1.06 - side, 0.82, np.minimum(wall * 1.22, 255))
        box(side, top, 1 - side, 0.76, 1, pane)
        box(0.47, top, 0.53, 0.76, 0, pane)
        box(side - 0.08, 0.78, 1.08 - side, 0.84, wall * 0.7)
    elif pattern == "ribbon":
        box(0, 0.22, 1, 0.72, 1, pane)
        box(0, 0.22, 0.05, 0.72, 0, pane)
        box(0, 0.72, 1, 0.78, wall * 0.75)
    elif pattern == "curtain":
        cell[:] = wall * 0.75
        box(0.08, 0.05, 1, 0.9, 1, pane)
    else:
        box(0.12, 0.12, 0.88, 0.6, 1, pane)
        box(0, 0.55, 0.94, 0.9, np.minimum(wall * 1.15, 255))
        box(0, 0.9, 0.94, 1, wall * 0.55)
    floors, bays = height // rows + 1, width // columns + 1
    texture = np.tile(cell, (floors, bays, 1))
    # Curtains, blinds and reflections: every window has a tone of its own, brighter towards its top.
    tones = rng.beta(0.9, 2.2, (floors, bays)).astype(np.float32)
    tones = np.repeat(np.repeat(tones, rows, axis=0), columns, axis=1)[..., None]
    fall = np.tile(np.linspace(0.25, 0, rows, dtype=np.float32), floors)[:, None, None]
    texture += np.tile(pane, (floors, bays, 1)) * (dark + (bright - dark) * np.minimum(tones + fall, 1) - texture)
    texture = texture[-height:, :width]
    if shop:
        ground = texture[-rows:]
        ground[:] = wall * 0.8
        ground[rows // 8 : rows // 3] = rng.uniform(40, 220, 3)  # the sign above the windows
        for start in range(0, width, columns):
            shade = dark + (bright - dark) * rng.uniform(0, 0.6)
            ground[rows // 3 + 1 : round(rows * 0.92), start + 1 : start + columns - 2] = shade
    return _finish(texture, relief, rng), storey


@cache
def masonry(color: Color, relief: float, variant: int, detail: int, level: int) -> np.ndarray:
    """A wall of bricks, stone or concrete panels with a coping: uint8 `[h, w, 4]`, LENGTH x 2.4 metres."""
    if level:
        return shrunk(masonry(color, relief, variant, detail, 0), level)
    rng = _generator("masonry", color, variant)
    columns, rows = round(LENGTH * detail), round(2.4 * detail)
    texture = np.empty((rows, columns, 3), np.float32)
    texture[:] = color
    if variant % 2 == 0:  # courses of stone, each a little different
        course, length = max(2, round(0.28 * detail)), max(3, round(0.7 * detail))
        stones = rng.uniform(1 - 0.35 * relief, 1 + 0.15 * relief, (rows // course + 1, columns // length + 1))
        stones = np.repeat(np.repeat(stones, course, axis=0), length, axis=1)
        texture *= stones[:rows, :columns, None]
        texture[::course] *= 0.78
    else:
        texture[:, :: max(4, round(2.4 * detail))] *= 0.62
        texture *= np.linspace(1.05, 0.85, rows)[:, None, None]  # dirt gathers at the foot
    if relief > 0.3:  # scrawls
        for start in rng.uniform(0, columns, 2):
            steps = np.cumsum(rng.uniform(-rows / 5, rows / 4, (9, 2)), axis=0) + [start, rows * 0.3]
            cv2.polylines(texture, [steps.astype(np.int32)], False, rng.uniform(20, 240, 3).tolist(), 2)
    texture[: max(1, round(0.16 * detail))] = np.minimum(np.asarray(color) * 1.2, 255)
    return _finish(texture, 1.6 * relief, rng)


@cache
def railing(color: Color, pattern: str, detail: int, level: int) -> np.ndarray:
    """A fence: uint8 `[h, w, 4]`, LENGTH x 1.6 metres.

    Args:
      color: of bars or boards.
      pattern: bars, mesh, boards or guard (rails on posts).
      detail: texels per metre at level 0.
      level: how often its sides are halved.
    """
    if level:
        return shrunk(railing(color, pattern, detail, 0), level)
    rng = _generator("railing", color, pattern)
    columns, rows = round(LENGTH * detail), round(1.6 * detail)
    down, right = np.mgrid[:rows, :columns] / detail
    solid = np.zeros((rows, columns), bool)
    if pattern == "bars":
        solid |= (right % 0.24 < 0.09) | (abs(down - 0.2) < 0.06) | (abs(down - 1.4) < 0.06)
    elif pattern == "mesh":
        solid |= ((down + right) % 0.4 < 0.1) | ((down - right) % 0.4 < 0.1) | (down < 0.1)
    elif pattern == "boards":
        solid |= True
    else:
        solid |= (abs(down - 0.55) < 0.22) | (abs(down - 1.15) < 0.2)
    solid |= right % 2.2 < 0.14
    texture = np.empty((rows, columns, 3), np.float32)
    texture[:] = color
    if pattern == "boards":
        tones = rng.uniform(0.75, 1.1, int(LENGTH / 0.22) + 1)
        texture *= tones[(right / 0.22).astype(int)][..., None]
        texture[right % 0.22 < 1.01 / detail] *= 0.6
    texture *= (1.1 - 0.15 * down)[..., None]
    return _finish(texture, 0.3, rng, solid * np.uint8(255))
