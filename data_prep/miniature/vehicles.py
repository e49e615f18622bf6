"""The shapes of vehicles, and of bins: prisms with windows, lamps and wheels painted on."""

from functools import cache

import numpy as np

from .solids import Solid


class _Builder:
    def __init__(self):
        self.faces, self.centres, self.layers, self.materials = [], [], [], []

    def face(self, points, material, layer, centre):
        self.faces.append(np.asarray(points, float))
        self.centres.append(centre)
        self.layers.append(layer)
        self.materials.append(material)

    def prism(self, profile, half, *, top=None, side="paint", strips=None, layer=1):
        """Sweeps a convex outline of (z, y) across the body; it narrows from `half` to `top` metres upwards."""
        profile = np.asarray(profile, float)
        low, high = profile[:, 1].min(), profile[:, 1].max()
        narrowing = half + ((top or half) - half) * (profile[:, 1] - low) / (high - low)
        left = np.stack([-narrowing, profile[:, 1], profile[:, 0]], axis=1)
        right = left * [-1, 1, 1]
        centre = np.array([0, (low + high) / 2, profile[:, 0].mean()])
        strips = strips or [side] * len(profile)
        for index, material in enumerate(strips):
            after = (index + 1) % len(profile)
            self.face([left[index], left[after], right[after], right[index]], material, layer, centre)
        self.face(left, side, layer, centre)
        self.face(right, side, layer, centre)

    def both_sides(self, x, outline, material, layer=3):
        """A flat detail on the left and the right side, its outline in (z, y)."""
        outline = np.asarray(outline, float)
        for sign in (-1, 1):
            points = np.column_stack([np.full(len(outline), sign * x), outline[:, 1], outline[:, 0]])
            self.face(points, material, layer, np.array([0, outline[:, 1].mean(), outline[:, 0].mean()]))

    def across(self, z, left, right, bottom, top, material, layer=3):
        """A rectangle on the front (z > 0) or rear face."""
        points = [[left, bottom, z], [right, bottom, z], [right, top, z], [left, top, z]]
        self.face(points, material, layer, np.array([0, (bottom + top) / 2, 0]))

    def lamps(self, z, inner, outer, bottom, top, material):
        """A pair of lamps on the front or rear face."""
        self.across(z, inner, outer, bottom, top, material)
        self.across(z, -outer, -inner, bottom, top, material)

    def wheels(self, x, places, radius):
        """Wheels at the given z on both sides."""
        turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        for z in places:
            for size, material in ((radius, "tyre"), (radius * 0.55, "hub")):
                circle = np.stack([z + size * np.sin(turn), radius + size * np.cos(turn)], axis=1)
                self.both_sides(x + 0.01, circle, material, layer=4)

    def build(self, length, width, height) -> Solid:
        centres = np.array(self.centres)
        first, second, third = (np.array([face[corner] for face in self.faces]) for corner in range(3))
        normals = np.cross(second - first, third - first)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        inward = np.einsum("fi,fi->f", normals, first - centres) < 0
        normals[inward] *= -1
        x, z = width / 2, length / 2
        return Solid(
            points=np.concatenate(self.faces),
            starts=np.cumsum([0] + [len(face) for face in self.faces]),
            normals=normals,
            centres=centres,
            layers=np.array(self.layers),
            materials=tuple(self.materials),
            footprint=np.array([[-x, -z], [x, -z], [x, z], [-x, z]]),
            height=height,
        )


def _car(length, width, height, belt, bonnet, boot, glass_back, glass_front):
    """belt: height of the lower window edge; bonnet, boot: their lengths; glass_*: slant of front and rear window."""
    b, half, end = _Builder(), width / 2, length / 2
    b.prism([(-end + 0.1, 0.14), (-end + 0.1, 0.36), (end - 0.1, 0.36), (end - 0.1, 0.14)], half - 0.05,
            side="tyre", layer=0)  # fmt: skip
    body = [(-end, 0.3), (-end - 0.02, belt * 0.82), (-end + 0.12, belt), (end - bonnet, belt), (end, belt * 0.74),
            (end + 0.02, 0.3)]  # fmt: skip
    b.prism(body, half, top=half * 0.95, layer=1)
    rear, front = -end + boot, end - bonnet
    cabin = [
        (rear, belt - 0.03),
        (rear + glass_back, height),
        (front - glass_front, height),
        (front + 0.1, belt - 0.03),
    ]
    b.prism(cabin, half * 0.93, top=half * 0.76, strips=["glass", "paint", "glass", "paint"], layer=2)
    x, low, high = half * 0.9, belt + 0.03, height - 0.09
    middle = (rear + front) / 2
    b.both_sides(x, [(rear + 0.16, low), (rear + glass_back + 0.1, high), (middle - 0.04, high), (middle - 0.04, low)],
                 "glass")  # fmt: skip
    b.both_sides(x, [(middle + 0.04, low), (middle + 0.04, high), (front - glass_front - 0.06, high),
                     (front - 0.06, low)], "glass")  # fmt: skip
    b.wheels(half, (-end * 0.6, end * 0.62), 0.33)
    back, nose = -end - 0.04, end + 0.04
    b.across(back, -half * 0.96, half * 0.96, 0.3, 0.44, "dark")
    b.across(nose, -half * 0.96, half * 0.96, 0.3, 0.42, "dark")
    b.across(nose, -half * 0.5, half * 0.5, 0.46, 0.6, "dark")
    b.lamps(back, half * 0.6, half * 0.97, belt * 0.62, belt * 0.82, "red")
    b.lamps(nose, half * 0.58, half * 0.97, belt * 0.56, belt * 0.72, "lamp")
    b.across(back, -0.26, 0.26, 0.52, 0.64, "plate")
    return b.build(length, width, height)


def _bus():
    b, half, end = _Builder(), 1.27, 5.6
    b.prism([(-end, 0.35), (-end, 3.0), (-end + 0.15, 3.15), (end - 0.15, 3.15), (end, 2.9), (end + 0.05, 0.35)], half)
    b.prism(
        [(-end + 0.2, 0.15), (-end + 0.2, 0.4), (end - 0.2, 0.4), (end - 0.2, 0.15)], half - 0.1, side="tyre", layer=0
    )
    b.both_sides(half + 0.01, [(-end, 0.5), (-end, 0.8), (end, 0.8), (end, 0.5)], "trim")
    for z in np.arange(-end + 0.25, end - 1.2, 1.45):
        b.both_sides(half + 0.02, [(z, 1.35), (z, 2.55), (z + 1.3, 2.55), (z + 1.3, 1.35)], "glass")
    b.both_sides(half + 0.02, [(end - 1.0, 0.45), (end - 1.0, 2.6), (end - 0.15, 2.6), (end - 0.15, 0.45)], "glass")
    b.across(-end - 0.02, -half * 0.85, half * 0.85, 1.75, 2.7, "glass")
    b.across(-end - 0.02, -half * 0.8, half * 0.8, 0.75, 1.25, "dark")
    b.lamps(-end - 0.02, half * 0.78, half * 0.95, 0.8, 1.5, "red")
    b.across(end + 0.07, -half * 0.92, half * 0.92, 1.2, 2.5, "glass")
    b.across(end + 0.07, -half * 0.8, half * 0.8, 2.6, 2.9, "board")
    b.lamps(end + 0.07, half * 0.6, half * 0.92, 0.6, 0.85, "lamp")
    b.wheels(half, (-3.3, 3.4), 0.5)
    return b.build(2 * end, 2 * half, 3.15)


def _truck(length, box_height, tanker):
    b, half, end = _Builder(), 1.25, length / 2
    cab = end - 2.1
    b.prism([(-end, 0.45), (-end, 0.95), (end - 0.1, 0.95), (end - 0.1, 0.45)], half - 0.12, side="dark", layer=0)
    b.prism([(cab, 0.5), (cab, 2.7), (end - 0.35, 2.7), (end, 1.6), (end + 0.05, 0.5)], half, top=half * 0.92)
    if tanker:
        turn = np.linspace(0, 2 * np.pi, 9, endpoint=False) + np.pi / 8
        middle, radius = (1.0 + box_height) / 2, (box_height - 1.0) / 2
        ring = np.stack([half * 0.95 * np.cos(turn), middle + radius * np.sin(turn)], axis=1)
        back = np.column_stack([ring, np.full(9, -end)])
        front = np.column_stack([ring, np.full(9, cab - 0.3)])
        centre = np.array([0, middle, (cab - end) / 2])
        for i in range(9):
            b.face([back[i], back[(i + 1) % 9], front[(i + 1) % 9], front[i]], "cargo", 1, centre)
        b.face(back, "cargo", 1, centre)
        b.across(-end - 0.02, -0.2, 0.2, middle - 0.2, middle + 0.3, "trim")
    else:
        b.prism(
            [(-end, 0.95), (-end, box_height), (cab - 0.25, box_height), (cab - 0.25, 0.95)], half + 0.02, side="cargo"
        )
        b.across(-end - 0.02, -0.03, 0.03, 1.0, box_height, "dark")
        b.across(-end - 0.02, -half, half, 0.98, 1.1, "dark")
        b.both_sides(half + 0.04, [(-end * 0.55, 1.7), (-end * 0.55, 2.5), (cab - 1.2, 2.5), (cab - 1.2, 1.7)], "trim")
    b.across(-end - 0.02, -half * 0.9, half * 0.9, 0.5, 0.68, "bumper")
    b.lamps(-end - 0.03, half * 0.6, half * 0.9, 0.52, 0.72, "red")
    b.both_sides(half + 0.01, [(cab + 0.5, 1.65), (cab + 0.5, 2.45), (end - 0.45, 2.45), (end - 0.15, 1.65)], "glass")
    slant = [[-half * 0.9, 1.7, end + 0.0], [half * 0.9, 1.7, end + 0.0],
             [half * 0.86, 2.55, end - 0.27], [-half * 0.86, 2.55, end - 0.27]]  # fmt: skip
    b.face(slant, "glass", 3, np.array([0, 1.5, 0]))
    b.across(end + 0.07, -half * 0.7, half * 0.7, 0.75, 1.4, "dark")
    b.lamps(end + 0.08, half * 0.72, half * 0.95, 0.6, 0.85, "lamp")
    b.wheels(half - 0.05, (-end + 1.0, -end + 2.1, cab + 0.9), 0.48)
    return b.build(length, 2 * half, box_height)


def _train():
    b, half, end = _Builder(), 1.3, 12.0
    nose = [(-end, 0.25), (-end - 0.1, 1.3), (-end + 0.7, 3.35), (end - 0.7, 3.35), (end + 0.1, 1.3), (end, 0.25)]
    b.prism(nose, half, top=half * 0.93)
    b.prism([(-end + 3, 3.33), (-end + 3.3, 3.5), (end - 3.3, 3.5), (end - 3, 3.33)], half * 0.6, side="dark", layer=2)
    b.both_sides(half + 0.01, [(-end, 0.25), (-end, 0.75), (end, 0.75), (end, 0.25)], "trim")
    x = half * 0.985
    b.both_sides(x, [(-end + 0.6, 1.5), (-end + 0.7, 2.6), (end - 0.7, 2.6), (end - 0.6, 1.5)], "glass")
    for z in np.arange(-end + 2.5, end - 1.5, 3.1):
        b.both_sides(x + 0.02, [(z, 0.35), (z, 2.75), (z + 0.12, 2.75), (z + 0.12, 0.35)], "paint")
    for joint in (-4.0, 4.0):
        b.both_sides(x + 0.03, [(joint, 0.3), (joint, 3.3), (joint + 0.5, 3.3), (joint + 0.5, 0.3)], "dark")
    for sign in (-1, 1):
        low, high = sign * (end + 0.08), sign * (end - 0.42)
        window = [
            [-half * 0.86, 1.5, low],
            [half * 0.86, 1.5, low],
            [half * 0.82, 2.75, high],
            [-half * 0.82, 2.75, high],
        ]
        b.face(window, "glass", 3, np.array([0, 1.5, 0]))
        b.across(sign * (end + 0.12), -half * 0.6, half * 0.6, 0.3, 0.5, "dark")
    b.across(end - 0.3, -0.7, 0.7, 2.85, 3.15, "board")
    b.lamps(end + 0.14, half * 0.55, half * 0.85, 0.85, 1.1, "lamp")
    b.lamps(-end - 0.14, half * 0.55, half * 0.85, 0.85, 1.1, "red")
    return b.build(2 * end, 2 * half, 3.6)


def _box(length, width, height):
    b = _Builder()
    b.prism([(-length / 2, 0), (-length / 2, height), (length / 2, height), (length / 2, 0)], width / 2)
    return b.build(length, width, height)


_TEMPLATES = {
    "car": (
        lambda: _car(4.4, 1.78, 1.45, 0.92, 1.15, 0.55, 0.75, 0.75),  # saloon
        lambda: _car(3.9, 1.72, 1.5, 0.94, 0.95, 0.06, 0.4, 0.7),  # hatchback
        lambda: _car(4.6, 1.8, 1.48, 0.92, 1.1, 0.05, 0.3, 0.7),  # estate
        lambda: _car(4.6, 1.9, 1.78, 1.08, 1.1, 0.05, 0.22, 0.55),  # off-roader
        lambda: _car(4.9, 1.92, 1.98, 1.15, 0.75, 0.03, 0.1, 0.6),  # van
    ),
    "bus": (_bus,),
    "truck": (
        lambda: _truck(7.6, 3.3, False),
        lambda: _truck(9.2, 3.7, False),
        lambda: _truck(8.4, 3.0, True),
    ),
    "train": (_train,),
    "bin": (lambda: _box(0.6, 0.55, 1.0), lambda: _box(1.3, 0.9, 1.25)),
}


def template(name: str, rng: np.random.Generator) -> Solid:
    """One of the bodies called car, bus, truck, train or bin."""
    return _made(name, int(rng.integers(len(_TEMPLATES[name]))))


@cache
def _made(name: str, variant: int) -> Solid:
    return _TEMPLATES[name][variant]()
