"""What makes one generated data set look different from another: the parameters of a street scene."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]
"""Smallest and largest value; drawn uniformly."""

Color = tuple[int, int, int]
"""Red, green, blue, 0-255."""


@dataclass(frozen=True)
class Viewpoint:
    """How the camera is mounted.

    Attributes:
      field_of_view: horizontal, in degrees.
      height: above the road, in metres.
      pitch: degrees downwards.
      yaw, roll: largest angle to either side, in degrees.
      sway: largest distance from the middle of the camera's lane, in metres.
    """

    field_of_view: float
    height: Range
    pitch: Range
    yaw: float
    roll: float
    sway: float


@dataclass(frozen=True)
class Layout:
    """How the street is built. Widths and lengths are metres.

    Attributes:
      lanes: possible numbers of lanes per direction.
      lane_width: of each lane.
      parking: probability that a side has a parking lane.
      verge: probability that a side has a strip of grass between kerb and sidewalk.
      verge_width, sidewalk_width: of those strips.
      bend: largest curvature to either side, in 1/m.
      junction: probability that a street crosses within sight.
      lots: weights of what stands beside the street: building, wall, fence, park.
      storeys: floors of a building.
      pitched_roofs: probability that a building has one.
    """

    lanes: tuple[int, ...]
    lane_width: float
    parking: float
    verge: float
    verge_width: Range
    sidewalk_width: Range
    bend: float
    junction: float
    lots: Mapping[str, float]
    storeys: Range
    pitched_roofs: float


@dataclass(frozen=True)
class Crowd:
    """How much is in the street.

    Attributes:
      traffic: weights of what drives in a lane: car, truck, bus, train, motorcycle, bicycle.
      spacing: gap between vehicles of a lane, in metres.
      parked: probability that a parking bay is taken.
      leading: probability that the first vehicle of some lane is drawn evenly from all of `traffic`.
      persons, parked_cycles: mean number on each sidewalk.
      riders: mean number at each edge of the road.
      trees, lamps, lights, signs: mean number on each sidewalk.
      masts: probability that a traffic light also hangs on an arm over the road.
      litter: mean number of bins and boxes on each sidewalk.
    """

    traffic: Mapping[str, float]
    spacing: Range
    parked: float
    leading: float
    persons: float
    riders: float
    parked_cycles: float
    trees: float
    lamps: float
    lights: float
    masts: float
    signs: float
    litter: float


@dataclass(frozen=True)
class Mood:
    """Weather, season and time of day.

    Attributes:
      sky: colours at the top and at the horizon.
      cloud: colour of the clouds.
      cloudiness: 0 for none, 1 for a covered sky.
      ambient, sun: colour of the light from all sides and from the sun, as factors of a surface's colour.
      elevation: of the sun, in degrees.
      shadow: how much of its light the ground loses in a shadow, 0-1.
      haze: share of the sky's light added per metre.
      foliage: (dark, light) colours of leaves; one pair is drawn per tree.
    """

    sky: tuple[Color, Color]
    cloud: Color
    cloudiness: float
    ambient: tuple[float, float, float]
    sun: tuple[float, float, float]
    elevation: Range
    shadow: float
    haze: float
    foliage: tuple[tuple[Color, Color], ...]


@dataclass(frozen=True)
class Materials:
    """Colours and textures of surfaces. A tuple of colours offers a choice per object.

    Attributes:
      grain: strength of the ground's texture, 0-1.
      relief: strength of the texture of walls and facades, 0-1.
      slabs: darkness of the joints between the sidewalk's slabs, 0-1.
      windows: weights of the facade's patterns: punched, ribbon, curtain, balcony.
      glass: colours of windows by day, dark to bright.
      crowns: tree shapes to choose from: broad, tall, conifer, palm.
      fences: fence patterns to choose from: bars, mesh, boards, guard.
      sign_shapes: what stands on signposts: triangle, disc, octagon, diamond, board.
      lamp_housing: colour of traffic lights.
    """

    road: tuple[Color, ...]
    marking: Color
    centre_line: Color
    kerb: Color
    sidewalk: tuple[Color, ...]
    terrain: tuple[Color, ...]
    grain: float
    relief: float
    slabs: float
    facades: tuple[Color, ...]
    roofs: tuple[Color, ...]
    windows: Mapping[str, float]
    glass: tuple[Color, Color]
    walls: tuple[Color, ...]
    fence_colors: tuple[Color, ...]
    fences: tuple[str, ...]
    poles: tuple[Color, ...]
    lamp_housing: Color
    sign_shapes: tuple[str, ...]
    crowns: tuple[str, ...]
    paints: tuple[Color, ...]
    buses: tuple[Color, ...]
    trains: tuple[Color, ...]
    cargo: tuple[Color, ...]
    clothes: tuple[Color, ...]
    skin: tuple[Color, ...]


@dataclass(frozen=True)
class Sensor:
    """What happens between the light and the file.

    Attributes:
      gain: factors of red, green and blue.
      exposure: a factor drawn per frame.
      gamma: below 1 lifts the dark tones.
      contrast: slope around middle grey, after gamma.
      saturation: 0 is grey, 1 leaves colours alone.
      blur: standard deviation in thousandths of the picture's height.
      sharpen: strength of the outlines that games and cameras add, 0 for none.
      noise: standard deviation in grey levels.
      vignette: how much darker the corners are, 0-1.
      bonnet: whether the own car's bonnet and the rectification's border are in sight.
    """

    gain: tuple[float, float, float]
    exposure: Range
    gamma: float
    contrast: float
    saturation: float
    blur: float
    sharpen: float
    noise: float
    vignette: float
    bonnet: bool


@dataclass(frozen=True)
class Style:
    """One data set's look: everything that the generator draws with."""

    viewpoint: Viewpoint
    layout: Layout
    crowd: Crowd
    moods: tuple[Mood, ...]
    materials: Materials
    sensor: Sensor


def pick(rng: np.random.Generator, options: tuple | Mapping):
    """One of a tuple, or one key of a mapping to weights."""
    if isinstance(options, tuple):
        return options[int(rng.integers(len(options)))]
    place = rng.random() * sum(options.values())
    chosen = None
    for option, weight in options.items():
        chosen = option if weight > 0 else chosen
        place -= weight
        if place < 0:
            break
    return chosen
