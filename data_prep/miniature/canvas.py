"""Drawing in world coordinates: each mark writes its colour and its owner, so picture and label cannot disagree."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from .camera import NEAR, Camera, clip
from .kinds import Kind

FIRST_INSTANCE = 32
"""Owners below this are kinds of stuff; from here on, each owner is one object."""

_FARTHEST = 20000
"""Pixel coordinates beyond this are cut: OpenCV keeps them as fixed-point numbers."""


@dataclass(frozen=True)
class Light:
    """Light and air of one frame.

    Attributes:
      ambient, sun: float `[3]` factors of a surface's colour, from all sides and from the sun.
      direction: float `[3]`, unit vector towards the sun.
      haze_color: float `[3]`, 0-255.
      haze: share of it added per metre.
    """

    ambient: np.ndarray
    sun: np.ndarray
    direction: np.ndarray
    haze_color: np.ndarray
    haze: float

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """Factors `[..., 3]` of the colour of surfaces with unit normals `[..., 3]`."""
        facing = np.maximum(normals @ self.direction, 0)
        open_sky = 0.86 + 0.14 * normals[..., 1]
        return open_sky[..., None] * self.ambient + facing[..., None] * self.sun

    @cached_property
    def upright(self) -> np.ndarray:
        """Factors `[3]` for round upright things, which show the camera a lit and a dark side."""
        return self.shade(np.array([[0.6, 0.2, -0.75], [-0.6, 0.2, -0.75]])).mean(axis=0)

    def veil(self, depth):
        """Share of the colour that the air replaces by haze at `depth` metres (a number or an array)."""
        return 1 - np.exp(-self.haze * np.maximum(depth, 0))

    def through_air(self, colors: np.ndarray, depth) -> np.ndarray:
        """Colours `[..., 3]` as seen from `depth` metres away (a number or an array `[...]`)."""
        return colors + (self.haze_color - colors) * np.asarray(self.veil(depth))[..., None]


class Rod(NamedTuple):
    """A round rod along `joints` world points, a ball if that is 1; `radius` in metres, `color` 0-255 in full light."""

    joints: int
    radius: float
    color: tuple[float, float, float]
    owner: int


def fixed_point(pixels: np.ndarray) -> np.ndarray:
    """Pixel coordinates `[N, 2]` as OpenCV's drawing functions take them with shift = 3."""
    near = np.minimum(np.maximum(pixels, -_FARTHEST), _FARTHEST)
    return np.rint(near * 8 - 4).astype(np.int32)


class Canvas:
    """A picture being painted from back to front.

    Attributes:
      camera, light: of the frame.
      pixels: uint8 `[H, W, 4]`: red, green, blue, owner.
      kinds: uint8 `[256]`: owner -> Kind.
    """

    def __init__(self, camera: Camera, light: Light):
        self.camera = camera
        self.light = light
        self.pixels = np.zeros((camera.height, camera.width, 4), np.uint8)
        self.kinds = np.arange(256, dtype=np.uint8)
        self._owners = FIRST_INSTANCE

    def own(self, kind: Kind) -> int:
        """A new object of that kind. When all 224 numbers are taken, further objects share the kind's own."""
        if self._owners > 255:
            return int(kind)
        self.kinds[self._owners] = kind
        self._owners += 1
        return self._owners - 1

    def in_sight(self, at, radius: float) -> bool:
        """Whether something within `radius` metres of the upright through the world point `at` can be seen."""
        u, _, depth = self.camera.homogeneous(np.asarray(at, float)).tolist()
        if depth < 1:
            return depth > NEAR - radius
        slack = radius * self.camera.focal / depth + 0.1 * self.camera.width
        return -slack < u / depth < self.camera.width + slack

    def fill(self, outline: np.ndarray, color, owner: int) -> None:
        """Fills a polygon given in pixels `[N, 2]` with a ready colour."""
        if len(outline) >= 3:
            cv2.fillPoly(self.pixels, [fixed_point(outline)], (*color, owner), cv2.LINE_8, 3)

    def polygon(self, points: np.ndarray, color, owner: int, *, normal=(0.0, 0.0, -1.0)) -> None:
        """Fills a flat polygon of world points `[N, 3]`, shaded by its normal and seen through the air."""
        projected = self.camera.homogeneous(np.asarray(points, float))
        shaded = np.asarray(color) * self.light.shade(np.asarray(normal))
        depth = float(projected[:, 2].sum()) / len(projected)
        self.fill(clip(projected), self.light.through_air(shaded, depth), owner)

    def rods(self, points: np.ndarray, rods: list[Rod], *, least: int = 2) -> None:
        """Draws the rods of one thing, in the order given, all lit and veiled alike.

        Args:
          points: world points `[N, 3]` of all rods, one after the other.
          rods: what to draw.
          least: thinnest line in pixels of the canvas: thin poles must not vanish.
        """
        projected = self.camera.homogeneous(points)
        if projected[:, 2].min() < NEAR:
            return
        pixels = projected[:, :2] / projected[:, 2:]
        (left, top), (right, bottom) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
        if right < -200 or left > self.camera.width + 200 or max(-left, -top, right, bottom) > _FARTHEST:
            return
        corners = fixed_point(pixels)
        depth = float(projected[:, 2].sum()) / len(projected)
        scale, veil = self.camera.focal / depth, float(self.light.veil(depth))
        fr, fg, fb = (self.light.upright * (1 - veil)).tolist()
        hr, hg, hb = (self.light.haze_color * veil).tolist()
        start = 0
        for joints, radius, (r, g, b), owner in rods:
            color = (r * fr + hr, g * fg + hg, b * fb + hb, owner)
            if joints == 1:
                size = max(least * 4, round(radius * scale * 8))
                cv2.circle(self.pixels, corners[start].tolist(), size, color, -1, cv2.LINE_8, 3)
            else:
                thickness = max(least, round(2 * radius * scale))
                cv2.polylines(self.pixels, [corners[start : start + joints]], False, color, thickness, cv2.LINE_8, 3)
            start += joints

    def pole(self, points, radius: float, color, owner: int, *, least: int = 2) -> None:
        """Draws a single rod along world points `[N, 3]`."""
        self.rods(np.asarray(points, float), [Rod(len(points), radius, color, owner)], least=least)

    def picture(
        self,
        texture: np.ndarray,
        *,
        origin: np.ndarray,
        along: np.ndarray,
        size: tuple[float, float],
        owner: int,
        tint=(1.0, 1.0, 1.0),
    ) -> None:
        """Puts a texture on an upright rectangle in the world.

        Args:
          texture: uint8 `[h, w, 4]` red, green, blue and solidity, first row at the top. Where solidity is below 128
            one sees through; those pixels still belong to the owner, as they do in the labels of fences.
          origin: the lower left corner, a world point.
          along: horizontal unit vector from there to the lower right corner.
          size: width and height in metres.
          owner: who the pixels belong to.
          tint: factors of the texture's colours.
        """
        width, height = size
        plane = self.camera.plane(origin, np.multiply(along, width), np.array([0.0, height, 0.0]))
        corners = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]) @ plane.T
        outline = clip(corners)
        if len(outline) < 3:
            return
        left, top = np.maximum(np.floor(outline.min(axis=0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(outline.max(axis=0)) + 1, [self.camera.width, self.camera.height]).astype(
            int
        )
        if right <= left or bottom <= top:
            return
        rows, columns = texture.shape[:2]
        from_texel = np.array([[1 / columns, 0, 0], [0, -1 / rows, 1], [0, 0, 1]])
        shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
        extent = (int(right - left), int(bottom - top))
        drawn = cv2.warpPerspective(
            texture, shift @ plane @ from_texel, extent, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        inside = np.zeros((extent[1], extent[0]), np.uint8)
        cv2.fillPoly(inside, [fixed_point(outline - [left, top])], 255, cv2.LINE_8, 3)

        normal = np.array([along[2], 0, -along[0]])
        if normal @ np.subtract(self.camera.position, origin) < 0:
            normal = -normal
        veil = float(self.light.veil(np.clip(corners[:2, 2], NEAR, None).mean()))
        gain, lift = self.light.shade(normal) * tint * (1 - veil), self.light.haze_color * veil
        solid = drawn[..., 3]
        cut = (solid >= 128) if solid.min() < 128 else None
        drawn = cv2.multiply(drawn, (*gain, 0.0), dst=drawn)
        drawn = cv2.add(drawn, (*lift, float(owner)), dst=drawn)
        region = self.pixels[top:bottom, left:right]
        if cut is not None:
            region[..., 3][inside > 0] = owner
            inside = inside * cut
        cv2.copyTo(drawn, inside, region)

    def sprite(
        self, stamps: Callable[[int], np.ndarray], *, foot, width: float, height: float, tones: np.ndarray, owner: int
    ) -> None:
        """Stands a flat cut-out upright in the world, facing the camera.

        Args:
          stamps: gives it as uint8 `[128 >> level, 128 >> level, 2]`, for a level of 0 to 3: brightness, and opacity
            (solid from 128 on).
          foot: world point of the middle of its lower edge.
          width, height: in metres.
          tones: float `[2, 3]`, colours of brightness 0 and 255, already lit.
          owner: who the pixels belong to.
        """
        u, v, depth = self.camera.homogeneous(np.asarray([foot], float))[0]
        if depth < 1.0:
            return
        scale = self.camera.focal / depth
        wide, high = width * scale, height * scale
        x, y = u / depth - wide / 2, v / depth - high
        left, top = max(0, int(np.floor(x))), max(0, int(np.floor(y)))
        right, bottom = min(self.camera.width, int(x + wide) + 1), min(self.camera.height, int(y + high) + 1)
        if right - left < 1 or bottom - top < 1:
            return
        stamp = stamps(int(np.clip(np.log2(128 / wide) - 0.6, 0, 3)))  # the warp itself does not average
        rows, columns = stamp.shape[:2]
        warp = np.array([[wide / columns, 0, x - left], [0, high / rows, y - top]])
        drawn = cv2.warpAffine(stamp, warp, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
        brightness, opacity = cv2.split(drawn)
        table = np.empty((256, 4), np.uint8)
        dark, bright = np.minimum(self.light.through_air(tones, depth), 255)
        table[:, :3] = dark + _RAMP * (bright - dark)
        table[:, 3] = owner
        # Four bytes at a time: one lookup per pixel instead of four.
        colors = table.view(np.uint32)[:, 0][brightness].view(np.uint8).reshape(*brightness.shape, 4)
        solid = (opacity >= 128).view(np.uint8)
        cv2.copyTo(colors, solid, self.pixels[top:bottom, left:right])


_RAMP = np.linspace(0, 1, 256)[:, None]
