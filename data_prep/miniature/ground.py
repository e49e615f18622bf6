"""The ground: a street is painted as cross-sections, and every pixel's ray looks up the one it meets."""

import cv2
import numpy as np

from .camera import clip
from .canvas import Canvas, fixed_point
from .kinds import Kind
from .textures import noise

REACH = 40.0
"""A cross-section goes this many metres to either side; its ends go on beyond."""

FAR = 300.0
"""Beyond this many metres ahead, the ground repeats its last cross-section."""

STEP = 0.05
"""Resolution of cross-sections and of the street's length, in metres."""


class Section:
    """One cross-section of the street: what lies at each s.

    Attributes:
      kinds: uint8 `[N]`.
      colors: float32 `[N, 3]`.
      grain: float32 `[N]`, strength of the texture.
    """

    def __init__(self, kind: Kind, color, grain: float):
        count = round(2 * REACH / STEP)
        self.kinds = np.full(count, kind, np.uint8)
        self.colors = np.empty((count, 3), np.float32)
        self.colors[:] = color
        self.grain = np.full(count, grain, np.float32)

    def paint(self, left: float, right: float, kind: Kind, color, grain: float) -> None:
        """Covers s from `left` to `right`, in metres."""
        first, last = (round((min(max(s, -REACH), REACH) + REACH) / STEP) for s in (left, right))
        self.kinds[first:last] = kind
        self.colors[first:last] = color
        self.grain[first:last] = grain

    def darken(self, where: np.ndarray, share: float) -> None:
        """Takes a share of its light away where `where` (bool `[N]`) says so."""
        self.colors[where] *= 1 - share

    def copy(self) -> "Section":
        """An independent copy to paint on."""
        other = object.__new__(Section)
        other.kinds, other.colors, other.grain = self.kinds.copy(), self.colors.copy(), self.grain.copy()
        return other


class Ground:
    """Cross-sections, where along the street each applies, and the shadows that lie on it.

    Attributes:
      sections: all that occur.
      along: uint8 `[N]`, index into `sections` for each step of z from 0 to FAR.
      shadows: polygons of world points `[N, 3]`.
    """

    def __init__(self):
        self.sections: list[Section] = []
        self.along = np.zeros(round(FAR / STEP) + 1, np.uint8)
        self.shadows: list[np.ndarray] = []

    def use(self, section: int, start: float, end: float) -> None:
        """Applies a cross-section from z = `start` to z = `end`, in metres."""
        low, high = (round(min(max(z, 0), FAR) / STEP) for z in (start, end))
        self.along[low:high] = section

    def cast(self, footprint: np.ndarray, height: float, towards_sun: np.ndarray) -> None:
        """Adds the shadow of an upright body.

        Args:
          footprint: (X, Z) world points `[N, 2]` of its outline.
          height: of the body, in metres.
          towards_sun: unit vector `[3]`.
        """
        slide = -towards_sun[[0, 2]] / max(0.15, towards_sun[1]) * height
        hull = cv2.convexHull(np.float32(np.concatenate([footprint, footprint + slide])))[:, 0]
        outline = np.zeros((len(hull), 3))
        outline[:, [0, 2]] = hull
        self.shadows.append(outline)

    def draw(self, canvas: Canvas, shadow: float) -> None:
        """Paints everything below the horizon; shadows take away `shadow` (0-1) of the light."""
        camera, light = canvas.camera, canvas.light
        first, s, z, meets = camera.ground()
        if first >= camera.height:
            return
        count = self.sections[0].kinds.size
        np.clip(z, 0, FAR, out=z)
        np.clip(s, -FAR, FAR, out=s)
        index = np.take(self.along.astype(np.int32) * count, (z * np.float32(1 / STEP)).astype(np.int32))
        index += (np.clip(s + np.float32(REACH), 0, np.float32(2 * REACH - STEP)) * np.float32(1 / STEP)).astype(
            np.int32
        )
        # Colour and kind side by side, so that one lookup of four bytes serves both.
        table = np.empty((len(self.sections), count, 4), np.uint8)
        table[..., :3] = np.clip([section.colors for section in self.sections], 0, 255)
        table[..., 3] = [section.kinds for section in self.sections]
        ground = np.take(table.reshape(-1, 4).view(np.uint32)[:, 0], index).view(np.uint8).reshape(*index.shape, 4)
        grain = np.take(np.concatenate([section.grain for section in self.sections]), index)

        # Grains that a pixel cannot resolve average out.
        fade = np.minimum(np.float32(1), 9 / np.maximum(z, np.float32(1)))
        wrap = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_WRAP}
        gain = 0.07 * cv2.remap(noise("patches"), s * 6, z * np.float32(2.5), **wrap)
        gain += 0.075 * fade * cv2.remap(noise("grain"), s * 18, z * 9, **wrap)
        gain *= grain
        gain += 1
        shade = np.zeros((camera.height, camera.width), np.uint8)
        for outline in self.shadows:
            points = clip(camera.homogeneous(outline))
            if len(points) >= 3:
                cv2.fillPoly(shade, [fixed_point(points)], 255, cv2.LINE_8, 3)
        gain *= 1 - cv2.blur(shade, (3, 3))[first:] * np.float32(shadow / 255)
        veil = np.float32(1) - np.exp(z * np.float32(-light.haze))
        gain *= 1 - veil
        flat = light.shade(np.array([0.0, 1.0, 0.0]))
        channels = list(cv2.split(ground))
        for channel in range(3):
            lit = cv2.multiply(channels[channel], gain, scale=float(flat[channel]), dtype=cv2.CV_32F)
            lit += veil * np.float32(light.haze_color[channel])
            channels[channel] = cv2.convertScaleAbs(lit)
        cv2.copyTo(cv2.merge(channels), meets.astype(np.uint8), canvas.pixels[first:])
