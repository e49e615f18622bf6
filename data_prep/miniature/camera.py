"""The pinhole camera on the car, and the world it looks at.

World coordinates are metres: X to the right, Y up from the road, Z forward along the street, the camera above the
origin of Z. A street is straight in its own coordinates (s across, z along) and bent into the world by a parabola.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NEAR = 0.4
"""Nothing closer than this many metres is drawn: its projection would not be finite."""


@dataclass(frozen=True)
class Camera:
    """Where the camera is and how it looks.

    Attributes:
      height, width: of the picture it fills, in pixels.
      field_of_view: horizontal, in degrees.
      position: (X, Y, Z) in metres.
      pitch: degrees downwards.
      yaw: degrees to the right.
      roll: degrees clockwise.
      bend: the street's curvature: its centre line is at X = bend * Z^2, in 1/m.
    """

    height: int
    width: int
    field_of_view: float
    position: tuple[float, float, float]
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    bend: float = 0.0

    @cached_property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / math.tan(math.radians(self.field_of_view) / 2)

    @cached_property
    def matrix(self) -> np.ndarray:
        """float64 `[3, 3]`: world direction -> homogeneous pixel (u w, v w, w), w being the depth in metres."""
        pitch, yaw, roll = (math.radians(angle) for angle in (self.pitch, self.yaw, self.roll))
        turn = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
        tilt = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
        lens = np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1]])
        return lens @ tilt @ nod @ turn @ np.diag([1.0, -1.0, 1.0])

    @cached_property
    def _projection(self) -> tuple[np.ndarray, np.ndarray]:
        return np.ascontiguousarray(self.matrix.T), -self.matrix @ self.position

    def homogeneous(self, points: np.ndarray) -> np.ndarray:
        """World points `[N, 3]` -> homogeneous pixels `[N, 3]`."""
        turn, shift = self._projection
        return points @ turn + shift

    def street(self, s: float, z: float) -> tuple[float, float]:
        """The world's X at street coordinates (s, z), and the street's heading there in radians to the right."""
        return s + self.bend * z * z, math.atan(2 * self.bend * z)

    def plane(self, origin: np.ndarray, along: np.ndarray, up: np.ndarray) -> np.ndarray:
        """`[3, 3]` homography (a, b, 1) -> homogeneous pixel of the world point origin + a * along + b * up."""
        return self.matrix @ np.stack([along, up, np.subtract(origin, self.position)], axis=1)

    def ground(self) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """Where each pixel's ray meets the ground.

        Returns:
          the first picture row in which any ray does; street coordinates s and z in metres, and whether the ray
          meets the ground at all, each `[rows, width]` from that row down.
        """
        inverse = np.linalg.inv(self.matrix)
        u = np.arange(self.width, dtype=np.float32) + 0.5
        v = np.arange(self.height, dtype=np.float32)[:, None] + 0.5
        fall = -(inverse[1, 0] * u + inverse[1, 1] * v + inverse[1, 2]).astype(np.float32)
        rows = np.flatnonzero((fall > 0).any(axis=1))
        if not rows.size:
            empty = np.zeros((0, self.width), np.float32)
            return self.height, empty, empty, empty > 0
        first = int(rows[0])
        fall, v = fall[first:], v[first:]
        reach = np.float32(self.position[1]) / np.maximum(fall, np.float32(1e-6))
        z = reach * (inverse[2, 0] * u + inverse[2, 1] * v + inverse[2, 2]).astype(np.float32)
        x = reach * (inverse[0, 0] * u + inverse[0, 1] * v + inverse[0, 2]).astype(np.float32)
        x += np.float32(self.position[0])
        x -= np.float32(self.bend) * z * z
        return first, x, z, fall > 0


def clip(points: np.ndarray) -> np.ndarray:
    """The part of a polygon that lies in front of the camera.

    Args:
      points: homogeneous pixels `[N, 3]`.

    Returns:
      pixels `[M, 2]`; M is 0 if nothing is left.
    """
    depth = points[:, 2]
    if depth.min() >= NEAR:
        return points[:, :2] / depth[:, None]
    if depth.max() < NEAR:
        return np.zeros((0, 2))
    kept = []
    for here, there in zip(points, np.roll(points, -1, axis=0), strict=True):
        if here[2] >= NEAR:
            kept.append(here)
        if (here[2] >= NEAR) != (there[2] >= NEAR):
            kept.append(here + (there - here) * ((NEAR - here[2]) / (there[2] - here[2])))
    kept = np.array(kept)
    return kept[:, :2] / kept[:, 2:]
