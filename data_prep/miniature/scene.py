"""The plan of one street: where its lanes, sidewalks and lots are, how the camera stands in it, and its light."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .camera import Camera
from .canvas import Canvas, Light
from .ground import Ground
from .style import Mood, Range, Style, pick

PARKING_WIDTH = 2.2
KERB_WIDTH = 0.22

NOWHERE = (1e4, 1e4)
"""The crossing street of a scene that has none."""


@dataclass(frozen=True)
class Side:
    """One side of the street. Distances are metres from the street's middle.

    Attributes:
      sign: -1 for left, 1 for right.
      lanes: where the driving lanes end.
      kerb: where the road ends.
      walk: where the sidewalk begins, behind the verge if there is one.
      edge: where the lots begin.
      parking: whether there is a parking lane.
    """

    sign: int
    lanes: float
    kerb: float
    walk: float
    edge: float
    parking: bool


@dataclass(frozen=True)
class Scene:
    """What the steps of building a scene share.

    Attributes:
      style, mood: what the scene looks like.
      rng: source of all randomness.
      canvas: what it is painted on.
      ground: cross-sections and shadows.
      sides: left and right.
      lane_count: lanes per direction.
      junction: the crossing street's z, from and to.
      queue: what stands on the street: the z of its near end, and what draws it.
    """

    style: Style
    mood: Mood
    rng: np.random.Generator
    canvas: Canvas
    ground: Ground
    sides: tuple[Side, Side]
    lane_count: int
    junction: tuple[float, float]
    queue: list[tuple[float, Callable[[], None]]]

    def point(self, s: float, z: float) -> np.ndarray:
        """World point on the ground at street coordinates (s, z)."""
        return np.array([self.canvas.camera.street(s, z)[0], 0.0, z])

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """A number between the two, all equally likely."""
        return float(self.rng.uniform(low, high))

    def in_junction(self, z: float, margin: float = 0.0) -> bool:
        """Whether z lies in the crossing street or within `margin` metres of it."""
        return self.junction[0] - margin < z < self.junction[1] + margin

    def cast(self, footprint: np.ndarray, height: float) -> None:
        """Lays the shadow of an upright body with a footprint (X, Z) `[N, 2]` on the ground."""
        self.ground.cast(footprint, height, self.canvas.light.direction)

    def draw_later(self, nearest: float, draw: Callable[[], None]) -> None:
        """Queues something that stands on the street; `nearest` is the z of its near end."""
        self.queue.append((nearest, draw))


def lay_out(style: Style, rng: np.random.Generator, height: int, width: int) -> Scene:
    """An empty street of a style, for a canvas of `height` x `width` pixels."""
    layout, view = style.layout, style.viewpoint

    def between(limits: Range) -> float:
        return float(rng.uniform(*limits))

    mood, lane_count = pick(rng, style.moods), pick(rng, layout.lanes)
    lanes = lane_count * layout.lane_width
    sides = []
    for sign in (-1, 1):
        parking = bool(rng.random() < layout.parking)
        kerb = lanes + (PARKING_WIDTH if parking else 0.4)
        verge = between(layout.verge_width) if rng.random() < layout.verge else 0.0
        walk = kerb + KERB_WIDTH + verge
        sides.append(Side(sign, lanes, kerb, walk, walk + between(layout.sidewalk_width), parking))
    middle_of_lane = (int(rng.integers(lane_count)) + 0.5) * layout.lane_width
    camera = Camera(
        height=height,
        width=width,
        field_of_view=view.field_of_view,
        position=(middle_of_lane + between((-view.sway, view.sway)), between(view.height), 0.0),
        pitch=between(view.pitch),
        yaw=between((-view.yaw, view.yaw)),
        roll=between((-view.roll, view.roll)),
        bend=between((-layout.bend, layout.bend)),
    )
    elevation, azimuth = math.radians(between(mood.elevation)), between((0, 2 * math.pi))
    across, ahead = math.cos(elevation) * math.sin(azimuth), math.cos(elevation) * math.cos(azimuth)
    light = Light(
        ambient=np.array(mood.ambient),
        sun=np.array(mood.sun),
        direction=np.array([across, math.sin(elevation), ahead]),
        haze_color=np.array(mood.sky[1], float),
        haze=mood.haze,
    )
    start = between((16, 50))
    junction = (start, start + between((9, 14))) if rng.random() < layout.junction else NOWHERE
    return Scene(
        style=style,
        mood=mood,
        rng=rng,
        canvas=Canvas(camera, light),
        ground=Ground(),
        sides=tuple(sides),
        lane_count=lane_count,
        junction=junction,
        queue=[],
    )
