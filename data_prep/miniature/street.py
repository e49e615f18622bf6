"""One street scene, from its plan to the finished picture and label."""

from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import FIRST_INSTANCE
from .lots import draw_lot, plan_lots
from .paving import pave
from .scene import lay_out
from .sensor import add_bonnet, develop
from .sidewalk import fill_sidewalk
from .sky import draw_sky, draw_skyline
from .style import Style
from .traffic import cross_junction, fill_lanes, park_cars

FINE_BELOW = 400
"""Pictures less high than this are painted at twice their size and averaged: thin things then look thin."""


@dataclass(frozen=True)
class Frame:
    """A finished picture.

    Attributes:
      image: uint8 `[H, W, 3]` RGB.
      kinds: uint8 `[H, W]` of Kind.
      instances: uint8 `[H, W]`: 0 for stuff, 1, 2, ... for each object.
    """

    image: np.ndarray
    kinds: np.ndarray
    instances: np.ndarray


def render(style: Style, rng: np.random.Generator, height: int, width: int) -> Frame:
    """Draws one scene of a style; the same generator state gives the same pixels.

    Args:
      style: the data set's look.
      rng: source of all randomness.
      height, width: of the picture in pixels.
    """
    fine = 2 if height < FINE_BELOW else 1
    scene = lay_out(style, rng, height * fine, width * fine)
    canvas = scene.canvas
    pave(scene)
    # Shadows lie on the ground, so what casts them is planned before the ground is painted.
    fill_lanes(scene)
    cross_junction(scene)
    for side in scene.sides:
        if side.parking:
            park_cars(scene, side)
        fill_sidewalk(scene, side)

    draw_sky(canvas, scene.mood, rng)
    scene.ground.draw(canvas, scene.mood.shadow)
    draw_skyline(canvas, style, scene.mood, rng)
    lots = [lot for side in scene.sides for lot in plan_lots(style, side.sign, side.edge, scene.junction, rng)]
    for lot in sorted(lots, key=lambda lot: -lot.start):
        draw_lot(canvas, lot, style, scene.mood, rng)
    for _, draw in sorted(scene.queue, key=lambda entry: -entry[0]):
        draw()

    image = cv2.resize(np.ascontiguousarray(canvas.pixels[..., :3]), (width, height), interpolation=cv2.INTER_AREA)
    owners = np.ascontiguousarray(canvas.pixels[::fine, ::fine, 3])
    kinds = canvas.kinds[owners]
    image = develop(image, style.sensor, rng)
    if style.sensor.bonnet:
        add_bonnet(image, kinds, rng)
    instances = np.where(owners < FIRST_INSTANCE, 0, owners - (FIRST_INSTANCE - 1)).astype(np.uint8)
    return Frame(image=image, kinds=kinds, instances=instances)
