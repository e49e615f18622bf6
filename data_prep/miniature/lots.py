"""What stands beside the street: houses, walls, fences and parks, one lot after the other."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .kinds import Kind
from .plants import draw_bush, draw_tree, tree_size
from .style import Mood, Style, pick
from .textures import LENGTH, TALLEST, VARIANTS, facade, masonry, railing

DEPTH = 11.0
"""Of a building, in metres away from the street."""


@dataclass(frozen=True)
class Lot:
    """A piece of land along one side of the street.

    Attributes:
      kind: building, wall, fence or park.
      side: -1 for left, 1 for right.
      edge: where it begins: distance from the street's middle, in metres.
      start, end: z in metres.
      height: of the building, wall or fence, in metres.
      hidden: height up to which the lot before it hides its near end, in metres.
    """

    kind: str
    side: int
    edge: float
    start: float
    end: float
    height: float
    hidden: float


def plan_lots(
    style: Style, side: int, edge: float, junction: tuple[float, float], rng: np.random.Generator
) -> list[Lot]:
    """Lots of one side up to 100 m ahead, leaving the crossing street (z from, to) free."""
    lots, z = [], float(rng.uniform(-8, 4))
    previous, hidden = None, 0.0
    while z < 100:
        kind = pick(rng, style.layout.lots)
        if kind == previous != "building":
            kind = pick(rng, style.layout.lots)
        previous = kind
        end = z + float(rng.uniform(9, 20) if kind == "building" else rng.uniform(12, LENGTH))
        if z < junction[1] and end > junction[0]:
            if junction[0] - z > 5:
                end = junction[0]
            else:
                z, hidden = junction[1], 0.0
                continue
        if kind == "building":
            height = 3.3 * float(rng.uniform(*style.layout.storeys))
        else:
            height = float(rng.uniform(1.7, 3.0) if kind == "wall" else rng.uniform(1.2, 2.1))
        setback = float(rng.uniform(0, 0.6)) if kind == "building" else 0.0
        lots.append(Lot(kind, side, edge + setback, z, end, height, hidden))
        z, hidden = end, height - 3 if kind == "building" else 0.0
    return lots


def draw_lot(canvas: Canvas, lot: Lot, style: Style, mood: Mood, rng: np.random.Generator) -> None:
    """Paints one lot; the camera must stand on the street's side of it."""
    if lot.end < 1:
        return
    if lot.kind == "building":
        _building(canvas, lot, style, rng)
        return
    counts = {"wall": (0, 3), "fence": (0, 3), "park": (2, 5)}[lot.kind]
    _trees_behind(canvas, lot, style, mood, rng, int(rng.integers(*counts)))
    {"wall": _wall, "fence": _fence, "park": _hedge}[lot.kind](canvas, lot, style, mood, rng)


def _detail(canvas: Canvas, lot: Lot) -> tuple[int, int]:
    """Texels per metre of the finest texture for this canvas, and how often to halve it for the lot's distance."""
    finest = int(np.clip(round(canvas.camera.height / 32), 8, 20))
    shown = canvas.camera.focal / max(lot.start, 8.0)
    return finest, int(np.clip(np.log2(finest / shown) + 0.4, 0, 3))


def _along_street(canvas: Canvas, lot: Lot) -> tuple[np.ndarray, np.ndarray, float]:
    """Lower left corner, unit vector and length of the face along the street, left to right as one sees it."""
    start = max(lot.start, -3.0)
    first = np.array([canvas.camera.street(lot.side * lot.edge, start)[0], 0.0, start])
    last = np.array([canvas.camera.street(lot.side * lot.edge, lot.end)[0], 0.0, lot.end])
    if lot.side > 0:  # On the right, the far end is on the left.
        first, last = last, first
    length = float(np.linalg.norm(last - first))
    return first, (last - first) / length, length


def _near_end(canvas: Canvas, lot: Lot, depth: float) -> np.ndarray | None:
    """Lower left corner of the face that looks back along the street; None where the camera is past it."""
    if lot.start <= 1 or lot.height < lot.hidden:
        return None
    corner = np.array([canvas.camera.street(lot.side * lot.edge, lot.start)[0], 0.0, lot.start])
    return corner if lot.side > 0 else corner - [depth, 0, 0]


def _part(texture: np.ndarray, length: float, offset: float = 0.0) -> np.ndarray:
    """`length` metres of a texture that covers LENGTH."""
    columns = texture.shape[1]
    first = int(offset / LENGTH * columns)
    return texture[:, first : max(first + 1, first + round(min(1, length / LENGTH) * columns))]


def _building(canvas: Canvas, lot: Lot, style: Style, rng: np.random.Generator) -> None:
    materials = style.materials
    color, tint = pick(rng, materials.facades), rng.uniform(0.85, 1.12)
    pattern, shop = pick(rng, materials.windows), bool(rng.random() < 0.45)
    detail, level = _detail(canvas, lot)
    look = (color, materials.glass, pattern, materials.relief)
    front, storey = facade(*look, shop, detail, level)
    height = max(1, round(lot.height / storey)) * storey + 0.35
    rows = round(height / TALLEST * front.shape[0])
    owner, right = int(Kind.BUILDING), np.array([1.0, 0, 0])
    near = _near_end(canvas, lot, DEPTH)
    if near is not None:
        end = _part(facade(*look, False, detail, level)[0], DEPTH)
        canvas.picture(end[-rows:], origin=near, along=right, size=(DEPTH, height), owner=owner, tint=tint)
    origin, along, length = _along_street(canvas, lot)
    texture = _part(front, length, float(rng.uniform(0, max(0, LENGTH - length))))[-rows:]
    canvas.picture(texture, origin=origin, along=along, size=(length, height), owner=owner, tint=tint)
    if rng.random() < style.layout.pitched_roofs and height < 26:
        roof, rise = np.asarray(pick(rng, materials.roofs)), DEPTH * 0.42
        eaves = np.array([origin, origin + along * length]) + [0, height, 0]
        ridge = eaves + [lot.side * DEPTH / 2, rise, 0]
        canvas.polygon(np.concatenate([eaves, ridge[::-1]]), roof, owner, normal=(-lot.side * 0.6, 0.75, -0.28))
        if near is not None:
            gable = near + [[0, height, 0], [DEPTH, height, 0], [DEPTH / 2, height + rise, 0]]
            canvas.polygon(gable, np.multiply(color, tint), owner)


def _trees_behind(canvas: Canvas, lot: Lot, style: Style, mood: Mood, rng: np.random.Generator, count: int) -> None:
    shapes = tuple(shape for shape in style.materials.crowns if shape != "palm")
    spots = np.sort(rng.uniform(lot.start, lot.end, count))[::-1]
    for z in spots[spots > 3]:
        shape = pick(rng, shapes)
        size = tree_size(shape, rng)
        s = lot.side * (lot.edge + float(rng.uniform(1.5, 14)) + size[2] / 2)
        foot = (canvas.camera.street(s, z)[0], 0.0, z)
        if canvas.in_sight(foot, size[2]):
            draw_tree(canvas, foot, shape, size, mood, rng)


def _wall(canvas: Canvas, lot: Lot, style: Style, mood: Mood, rng: np.random.Generator) -> None:
    color, tint = pick(rng, style.materials.walls), rng.uniform(0.85, 1.1)
    texture = masonry(color, style.materials.relief, int(rng.integers(VARIANTS)), *_detail(canvas, lot))
    near = _near_end(canvas, lot, 6.0)
    look = {"owner": int(Kind.WALL), "tint": tint}
    if near is not None:
        canvas.picture(_part(texture, 6.0), origin=near, along=np.array([1.0, 0, 0]), size=(6.0, lot.height), **look)
    origin, along, length = _along_street(canvas, lot)
    canvas.picture(_part(texture, length), origin=origin, along=along, size=(length, lot.height), **look)


def _fence(canvas: Canvas, lot: Lot, style: Style, mood: Mood, rng: np.random.Generator) -> None:
    for z in np.sort(rng.uniform(max(lot.start, 4), max(lot.end, 5), int(rng.integers(0, 4))))[::-1]:
        x = canvas.camera.street(lot.side * (lot.edge + float(rng.uniform(2, 5))), z)[0]
        draw_bush(canvas, (x, 0.0, z), float(rng.uniform(2, 4)), float(rng.uniform(0.8, 1.8)), mood, rng)
    color, pattern = pick(rng, style.materials.fence_colors), pick(rng, style.materials.fences)
    texture = railing(color, pattern, *_detail(canvas, lot))
    origin, along, length = _along_street(canvas, lot)
    size, tint = (length, lot.height), rng.uniform(0.85, 1.15)
    canvas.picture(_part(texture, length), origin=origin, along=along, size=size, owner=int(Kind.FENCE), tint=tint)


def _hedge(canvas: Canvas, lot: Lot, style: Style, mood: Mood, rng: np.random.Generator) -> None:
    """Half of the parks have a hedge along the sidewalk."""
    if rng.random() < 0.5:
        return
    height, step = float(rng.uniform(0.8, 1.6)), 1.6 if lot.start < 40 else 4.0
    for z in np.arange(lot.end - 1, max(lot.start, 5), -step):
        x = canvas.camera.street(lot.side * (lot.edge + 1.2), z)[0]
        draw_bush(canvas, (x, 0.0, float(z)), 1.6 * step, height * float(rng.uniform(0.85, 1.15)), mood, rng)
