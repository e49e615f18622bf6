"""Solid bodies of convex parts with painted-on details, drawn by back-face culling."""

from dataclasses import dataclass

import cv2
import numpy as np

from .camera import NEAR, clip
from .canvas import Canvas, fixed_point


@dataclass(frozen=True)
class Solid:
    """Faces in a body's own coordinates: x to its right, y up, z forward, in metres, standing on y = 0.

    Attributes:
      points: float `[P, 3]`, the corners of all faces one after the other.
      starts: int `[F + 1]`, where each face's corners begin.
      normals: float `[F, 3]`, outward.
      centres: float `[F, 3]`, the middle of the part that each face belongs to.
      layers: int `[F]`: parts of a higher layer are painted later; within one, far parts come first.
      materials: name of each face's colour.
      footprint: (x, z) `[4, 2]`, corners of the body on the ground.
      height: metres.
    """

    points: np.ndarray
    starts: np.ndarray
    normals: np.ndarray
    centres: np.ndarray
    layers: np.ndarray
    materials: tuple[str, ...]
    footprint: np.ndarray
    height: float


def turn(points: np.ndarray, heading: float) -> np.ndarray:
    """Turns points `[N, 3]` about the vertical, `heading` radians to the right."""
    cos, sin = np.cos(heading), np.sin(heading)
    return points @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])


def draw_solid(canvas: Canvas, solid: Solid, at, heading: float, colors: dict[str, tuple], owner: int) -> None:
    """Draws a body.

    Args:
      canvas: to draw on.
      solid: the body.
      at: world point (X, Y, Z) of its origin.
      heading: radians to the right of straight ahead.
      colors: material -> colour in full light, 0-255.
      owner: who the pixels belong to.
    """
    light, camera = canvas.light, canvas.camera
    points = turn(solid.points, heading) + at
    projected = camera.homogeneous(points)
    depth = projected[:, 2]
    if depth.max() < NEAR:
        return
    whole = depth.min() >= NEAR
    if whole:
        pixels = projected[:, :2] / projected[:, 2:]
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        if high[0] < 0 or low[0] > camera.width or high[1] < 0 or low[1] > camera.height:
            return
        corners = fixed_point(pixels)
    normals = turn(solid.normals, heading)
    visible = np.einsum("fi,fi->f", normals, camera.position - points[solid.starts[:-1]]) > 0
    middle = camera.homogeneous(turn(solid.centres, heading) + at)[:, 2]
    order = np.argsort(solid.layers * 1000.0 - np.where(solid.layers == 1, middle, 0), kind="stable")
    base = np.array([colors[material] for material in solid.materials], float)
    shaded = light.through_air(base * light.shade(normals), middle).tolist()
    starts = solid.starts.tolist()
    for face in order[visible[order]].tolist():
        start, end = starts[face], starts[face + 1]
        if whole:
            cv2.fillPoly(canvas.pixels, [corners[start:end]], (*shaded[face], owner), cv2.LINE_8, 3)
        else:
            canvas.fill(clip(projected[start:end]), shaded[face], owner)
