"""One street scene: lays out a street, fills it, and paints it from back to front."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from msda_tf.data_prep.street_camera import Camera
from msda_tf.data_prep.street_canvas import FIRST_INSTANCE, Canvas, Light
from msda_tf.data_prep.street_figures import draw_bicycle, draw_motorcycle, draw_person, dress
from msda_tf.data_prep.street_furniture import draw_bollard, draw_lamp, draw_sign, draw_traffic_light
from msda_tf.data_prep.street_ground import STEP, Ground, Section
from msda_tf.data_prep.street_kinds import Kind
from msda_tf.data_prep.street_lots import draw_lot, plan_lots
from msda_tf.data_prep.street_plants import draw_tree, tree_size
from msda_tf.data_prep.street_sensor import add_bonnet, develop
from msda_tf.data_prep.street_sky import draw_sky, draw_skyline
from msda_tf.data_prep.street_solids import draw_solid, template
from msda_tf.data_prep.street_style import Mood, Style, pick

FINE_BELOW = 400
"""Pictures less high than this are painted at twice their size and averaged: thin things then look thin."""

PARKING_WIDTH = 2.2
KERB_WIDTH = 0.22


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


@dataclass
class Scene:
    """What the steps of building a scene share."""

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

    def draw_later(self, nearest: float, draw: Callable[[], None]) -> None:
        """Queues something that stands on the street; `nearest` is the z of its near end."""
        self.queue.append((nearest, draw))

    def blocks_junction(self, z: float, margin: float = 0.0) -> bool:
        """Whether z lies in the crossing street."""
        return self.junction[0] - margin < z < self.junction[1] + margin


def render(style: Style, rng: np.random.Generator, height: int, width: int) -> Frame:
    """Draws one scene of a style; the same generator state gives the same pixels.

    Args:
      style: the data set's look.
      rng: source of all randomness.
      height, width: of the picture in pixels.
    """
    fine = 2 if height < FINE_BELOW else 1
    scene = _lay_out(style, rng, height * fine, width * fine)
    canvas = scene.canvas
    _fill_street(scene)
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
    objects = np.where(owners < FIRST_INSTANCE, 0, owners - (FIRST_INSTANCE - 1)).astype(np.uint8)
    return Frame(image=image, kinds=kinds, instances=objects)


def _between(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(rng.uniform(*limits))


def _lay_out(style: Style, rng: np.random.Generator, height: int, width: int) -> Scene:
    layout, view = style.layout, style.viewpoint
    mood = pick(rng, style.moods)
    lane_count = pick(rng, layout.lanes)
    sides = []
    for sign in (-1, 1):
        lanes = lane_count * layout.lane_width
        parking = bool(rng.random() < layout.parking)
        kerb = lanes + (PARKING_WIDTH if parking else 0.4)
        verge = _between(rng, layout.verge_width) if rng.random() < layout.verge else 0.0
        walk = kerb + KERB_WIDTH + verge
        sides.append(Side(sign, lanes, kerb, walk, walk + _between(rng, layout.sidewalk_width), parking))
    lane = int(rng.integers(lane_count))
    camera = Camera(
        height=height,
        width=width,
        field_of_view=view.field_of_view,
        position=((lane + 0.5) * layout.lane_width + _between(rng, (-view.sway, view.sway)),
                  _between(rng, view.height), 0.0),
        pitch=_between(rng, view.pitch),
        yaw=_between(rng, (-view.yaw, view.yaw)),
        roll=_between(rng, (-view.roll, view.roll)),
        bend=_between(rng, (-layout.bend, layout.bend)),
    )  # fmt: skip
    elevation, azimuth = math.radians(_between(rng, mood.elevation)), _between(rng, (0, 2 * math.pi))
    across, ahead = math.cos(elevation) * math.sin(azimuth), math.cos(elevation) * math.cos(azimuth)
    light = Light(
        ambient=np.array(mood.ambient),
        sun=np.array(mood.sun),
        direction=np.array([across, math.sin(elevation), ahead]),
        haze_color=np.array(mood.sky[1], float),
        haze=mood.haze,
    )
    start = _between(rng, (16, 50))
    junction = (start, start + _between(rng, (9, 14))) if rng.random() < layout.junction else (1e4, 1e4)
    scene = Scene(
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
    _pave(scene)
    return scene


def _pave(scene: Scene) -> None:
    """Paints the cross-sections and says where each applies."""
    style, rng = scene.style, scene.rng
    materials, layout = style.materials, style.layout
    grain = materials.grain
    tone = float(rng.uniform(0.92, 1.08))
    asphalt = np.multiply(pick(rng, materials.road), tone)
    paving = np.multiply(pick(rng, materials.sidewalk), float(rng.uniform(0.92, 1.08)))
    grass = np.asarray(pick(rng, materials.terrain))
    bare = style.layout.verge == 0  # a style without verges has no grass at all
    outside = (Kind.SIDEWALK, paving * 0.92, grain) if bare else (Kind.TERRAIN, grass, min(1.0, grain * 2.5))
    plain = Section(*outside)
    left, right = scene.sides
    for side in scene.sides:

        def strip(start, end, kind, color, rough, sign=side.sign):
            plain.paint(*sorted((sign * start, sign * end)), kind, color, rough)

        strip(side.walk, side.edge, Kind.SIDEWALK, paving, grain * 0.7)
        strip(side.kerb + KERB_WIDTH, side.walk, Kind.TERRAIN, grass, min(1.0, grain * 2.5))
        strip(side.kerb, side.kerb + KERB_WIDTH, Kind.SIDEWALK, materials.kerb, grain * 0.5)
        strip(0, side.kerb, Kind.ROAD, asphalt, grain)
        strip(side.kerb - 0.3, side.kerb, Kind.ROAD, asphalt * 0.82, grain)
        for lane in range(scene.lane_count):  # wheels polish the middle of each lane's halves
            for track in (0.3, 0.7):
                s = (lane + track) * layout.lane_width
                strip(s - 0.3, s + 0.3, Kind.ROAD, asphalt * (1 - 0.06 * grain), grain)

    def line(section, s, color, width=0.14):
        section.paint(s - width / 2, s + width / 2, Kind.LANE_MARKING, color, grain * 0.3)

    for side in scene.sides:
        line(plain, side.sign * (side.lanes - 0.06), materials.marking)
    if materials.centre_line != materials.marking:
        line(plain, -0.13, materials.centre_line, 0.12)
        line(plain, 0.13, materials.centre_line, 0.12)
    dashed = plain.copy()
    for side in scene.sides:
        for lane in range(1, scene.lane_count):
            line(dashed, side.sign * lane * layout.lane_width, materials.marking)
    if materials.centre_line == materials.marking:
        line(dashed, 0.0, materials.centre_line)
    crossing = Section(Kind.ROAD, asphalt, grain)
    zebra = plain.copy()
    zebra.paint(-left.kerb, right.kerb, Kind.ROAD, asphalt, grain)
    for s in np.arange(-left.kerb + 0.4, right.kerb - 0.5, 1.0):
        zebra.paint(s, s + 0.5, Kind.LANE_MARKING, materials.marking, grain * 0.3)
    stop = plain.copy()
    stop.paint(0.1, right.lanes, Kind.LANE_MARKING, materials.marking, grain * 0.3)

    sections = [plain, dashed, crossing, zebra, stop]
    lengthwise = np.arange(plain.kinds.size) * STEP % 1.2 < 0.075
    for section in sections:
        section.darken((section.kinds == Kind.SIDEWALK) & lengthwise, materials.slabs * 0.8)
    for section in (plain, dashed):  # the same where a joint between slabs runs across
        jointed = section.copy()
        jointed.darken(jointed.kinds == Kind.SIDEWALK, materials.slabs)
        sections.append(jointed)
    scene.ground.sections = sections
    along = np.arange(scene.ground.along.size) * STEP
    phase = float(rng.uniform(0, 9))
    scene.ground.along[:] = ((along + phase) % 9 < 3.6) + 5 * ((along % 1.4 < 0.06) & (along < 40))
    begin, end = scene.junction
    if begin < 1000:
        scene.ground.use(2, begin, end)
        if scene.chance(0.7):
            scene.ground.use(3, begin - 3.6, begin - 0.8)
            scene.ground.use(3, end + 0.8, end + 3.6)
            scene.ground.use(4, begin - 5.0, begin - 4.6)
    elif scene.chance(0.35):
        z = _between(rng, (8, 40))
        scene.ground.use(3, z, z + 3)


def _fill_street(scene: Scene) -> None:
    """Queues everything that stands or moves on the street, with its shadow."""
    crowd, layout, rng = scene.style.crowd, scene.style.layout, scene.rng
    lanes = []
    for sign in (-1, 1):
        for lane in range(scene.lane_count):
            lanes.append((sign * (lane + 0.5) * layout.lane_width, 0.0 if sign > 0 else math.pi))
    own = scene.canvas.camera.position[0]
    leader = int(rng.integers(len(lanes))) if scene.chance(crowd.leading) else -1
    for index, (s, heading) in enumerate(lanes):
        ahead = abs(s - own) < layout.lane_width * 0.75
        z = _between(rng, (9, 26)) if ahead else _between(rng, (4, 26))
        if index == leader:
            kind = pick(rng, tuple(crowd.traffic))
            z += _vehicle(scene, kind, s, z, heading) + _between(rng, crowd.spacing)
        while z < 85:
            kind = pick(rng, crowd.traffic)
            z += _vehicle(scene, kind, s, z, heading) + _between(rng, crowd.spacing)
    for side in scene.sides:
        if side.parking:
            _park_cars(scene, side)
        _line_sidewalk(scene, side)
    if scene.junction[0] < 60 and scene.chance(0.4):  # somebody crosses
        z, s = sum(scene.junction) / 2 + _between(rng, (-2, 2)), _between(rng, (-9, 9))
        _vehicle(scene, pick(rng, crowd.traffic), s, z, math.pi / 2 * pick(rng, (-1, 1)), near=z - 1.3)


def _vehicle(scene: Scene, kind: str, s: float, z: float, heading: float, near: float | None = None) -> float:
    """Queues a vehicle whose near end is at z (its middle, if `near` is given); returns its length in metres."""
    materials, rng, canvas = scene.style.materials, scene.rng, scene.canvas
    if kind in ("motorcycle", "bicycle"):
        middle = z if near else z + 1
        x, bend = canvas.camera.street(s + _between(rng, (-0.4, 0.4)), middle)
        color = np.asarray(pick(rng, materials.paints))
        draw = draw_motorcycle if kind == "motorcycle" else draw_bicycle
        wear = dress(materials, rng, helmet=0.95 if kind == "motorcycle" else 0.4)
        at, turned = np.array([x, 0.0, middle]), bend + heading
        foot = at[[0, 2]] + np.array([[-0.2, -0.8], [0.2, -0.8], [0.2, 0.8], [-0.2, 0.8]])
        scene.ground.cast(foot, 1.5, canvas.light.direction)
        scene.draw_later(near or z, lambda: draw(canvas, at, turned, color, wear))
        return 2.0
    solid = template(kind, int(rng.integers(60)))
    length = float(np.ptp(solid.footprint[:, 1]))
    middle = z if near else z + length / 2
    x, bend = canvas.camera.street(s + _between(rng, (-0.25, 0.25)), middle)
    _place(scene, Kind[kind.upper()], solid, (x, middle), bend + heading, near or z)
    return length


def _colors(scene: Scene, kind: Kind) -> dict[str, np.ndarray]:
    materials, rng = scene.style.materials, scene.rng
    choice = {Kind.BUS: materials.buses, Kind.TRAIN: materials.trains}.get(kind, materials.paints)
    paint = np.asarray(pick(rng, choice), float) * rng.uniform(0.85, 1.1)
    dark, bright = np.asarray(materials.glass, float)
    return {
        "paint": paint,
        "glass": dark + (bright - dark) * rng.uniform(0.02, 0.3),
        "cargo": np.asarray(pick(rng, materials.cargo)) * rng.uniform(0.85, 1.1),
        "trim": np.asarray(pick(rng, materials.paints), float),
        "tyre": np.array([24, 24, 26]),
        "hub": np.array([128, 130, 134]),
        "dark": np.array([42, 42, 46]),
        "bumper": np.array([150, 60, 50]),
        "red": np.array([214, 36, 30]),
        "lamp": np.array([250, 246, 226]),
        "plate": np.array([226, 226, 214]),
        "board": np.array([236, 160, 40]),
    }


def _place(scene: Scene, kind: Kind, solid, at: tuple[float, float], heading: float, near: float) -> None:
    """Queues a solid at (X, z), and lays its shadow and the dark gap below it on the ground."""
    canvas, colors = scene.canvas, _colors(scene, kind)
    cos, sin = math.cos(heading), math.sin(heading)
    foot = solid.footprint @ np.array([[cos, -sin], [sin, cos]]) + at
    world = np.array([at[0], 0.0, at[1]])
    if not canvas.in_sight(world, 1.5 + solid.footprint[2, 1]):
        return
    scene.ground.cast(foot, solid.height, canvas.light.direction)

    def draw():
        if kind != Kind.STATIC:
            gap = np.column_stack([foot[:, 0], np.zeros(4), foot[:, 1]])
            canvas.polygon(gap, (26, 26, 28), int(Kind.ROAD), normal=(0, 1, 0))
        draw_solid(canvas, solid, world, heading, colors, canvas.own(kind))

    scene.draw_later(near, draw)


def _park_cars(scene: Scene, side: Side) -> None:
    crowd, rng = scene.style.crowd, scene.rng
    z = _between(rng, (2, 7))
    s = side.sign * (side.kerb - 1.15)
    while z < 65:
        if scene.blocks_junction(z + 2.5, 7):
            z = scene.junction[1] + 7
            continue
        if scene.chance(crowd.parked):
            kind = "truck" if scene.chance(0.05) and "truck" in crowd.traffic else "car"
            z += _vehicle(scene, kind, s, z, 0.0 if side.sign > 0 or scene.chance(0.2) else math.pi)
        else:
            z += 4.5
        z += _between(rng, (0.8, 1.8))


def _line_sidewalk(scene: Scene, side: Side) -> None:
    """People, trees and furniture along one sidewalk."""
    crowd, rng, canvas = scene.style.crowd, scene.rng, scene.canvas
    materials, inward = scene.style.materials, -side.sign

    def spots(mean: float, first: float, last: float, low: float, high: float):
        """Points on the ground between two distances from the street's middle, none in the crossing street."""
        for _ in range(int(rng.poisson(mean))):
            # Even in 1/z: as many near as far in the picture.
            z = 1 / _between(rng, (1 / last, 1 / first))
            at = scene.point(side.sign * _between(rng, (low, high)), z)
            if not scene.blocks_junction(z) and canvas.in_sight(at, 4):
                yield at

    def shade(at, radius: float, height: float):
        square = at[[0, 2]] + radius * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        scene.ground.cast(square, height, canvas.light.direction)

    furniture = side.kerb + 0.5, max(side.kerb + 0.6, min(side.walk + 0.6, side.edge - 0.3))
    shape = pick(rng, materials.crowns)
    for at in spots(crowd.trees, 8, 70, *furniture):
        size = tree_size(shape, rng)
        shade(at, size[2] * 0.4, size[1] * 0.8)
        scene.draw_later(at[2], lambda at=at, size=size: draw_tree(canvas, at, shape, size, scene.mood, rng))
    for at in spots(crowd.lamps, 7, 60, *furniture):
        shade(at, 0.1, 6)
        scene.draw_later(at[2], lambda at=at: draw_lamp(canvas, at, inward, materials, rng))
    for at in spots(crowd.signs, 8, 36, *furniture):
        shade(at, 0.15, 2.5)
        scene.draw_later(at[2], lambda at=at: draw_sign(canvas, at, materials, rng))
    masted = materials.lamp_housing[0] > 128  # bright housings hang over the road on long arms
    for at in spots(crowd.lights, 8, 34, *furniture):
        mast = _between(rng, (2.5, 5.5)) if masted and scene.chance(0.6) else 0.0
        scene.draw_later(at[2], lambda at=at, mast=mast: draw_traffic_light(canvas, at, inward, mast, materials, rng))
    if scene.chance(0.25):
        start = _between(rng, (5, 20))
        for step in range(int(rng.integers(3, 8))):
            at = scene.point(side.sign * (side.kerb + 0.45), start + 1.8 * step)
            scene.draw_later(at[2], lambda at=at: draw_bollard(canvas, at, materials, rng))
    for at in spots(crowd.litter, 5, 30, side.walk, side.edge):
        solid = template("bin", int(rng.integers(2)))
        _place(scene, Kind.STATIC, solid, (at[0], at[2]), _between(rng, (-0.2, 0.2)), at[2])
    for at in spots(crowd.persons, 4.5, 40, side.walk + 0.2, side.edge - 0.2):
        wear = dress(materials, rng)
        heading = _between(rng, (0, 2 * math.pi)) if scene.chance(0.3) else pick(rng, (0.0, math.pi))
        shade(at, 0.2, 1.7)
        scene.draw_later(at[2], lambda at=at, w=wear, h=heading: draw_person(canvas, at, h, w, rng))
    for at in spots(crowd.parked_cycles, 5, 28, side.walk, side.edge - 0.3):
        draw = draw_motorcycle if scene.chance(0.35) else draw_bicycle
        heading, color = _between(rng, (0, 2 * math.pi)), np.asarray(pick(rng, materials.paints))
        shade(at, 0.4, 0.9)
        scene.draw_later(at[2], lambda at=at, d=draw, h=heading, c=color: d(canvas, at, h, c, None))
    for at in spots(crowd.riders, 5.5, 30, side.lanes - 0.9, side.lanes - 0.2):
        heading = 0.0 if side.sign > 0 else math.pi
        _vehicle(scene, "motorcycle" if scene.chance(0.3) else "bicycle", at[0], at[2], heading)
