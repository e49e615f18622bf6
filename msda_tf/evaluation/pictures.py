"""Pictures of label maps: colours, overlays, and panels that put image, ground truth and branches side by side."""

import math
import os
import pathlib
import types
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from msda_tf import files
from msda_tf.labels import ClassList

# Tiles whose longer side is outside these limits are enlarged by a whole factor, or shrunk: captions and legend then
# stay readable beside them.
_SMALLEST_TILE, _LARGEST_TILE = 400, 1024
_BACKGROUND, _INK, _FRAME = (255, 255, 255), (30, 30, 30), (150, 150, 150)


def colorize(labels: np.ndarray, classes: ClassList) -> np.ndarray:
    """Colours of a label map.

    Args:
      labels: uint8 `[H, W]` trainIds; 255 and unused ids become black.
      classes: whose colours.

    Returns:
      uint8 `[H, W, 3]` RGB.
    """
    return classes.palette().take(labels, axis=0)  # a quarter of the time of indexing


def overlay(image: np.ndarray, labels: np.ndarray, classes: ClassList, alpha: float = 0.5) -> np.ndarray:
    """The image tinted with its label map; ignored pixels show the image alone.

    Args:
      image: uint8 `[H, W, 3]` RGB.
      labels: uint8 `[H, W]` trainIds.
      classes: whose colours.
      alpha: weight of the colours, 0-1.

    Returns:
      uint8 `[H, W, 3]` RGB.
    """
    mixed = cv2.addWeighted(image, 1 - alpha, colorize(labels, classes), alpha, 0)
    return cv2.copyTo(image, (labels >= len(classes)).astype(np.uint8), mixed)


def differ(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Where label maps are not all the same: bool `[H, W]` of uint8 `[H, W]` trainIds; nowhere of a single one."""
    return np.any([each != maps[0] for each in maps], axis=0)


def disagreement(image: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Where label maps differ: the image in grey, dark where all agree, red where they do not.

    Args:
      image: uint8 `[H, W, 3]` RGB.
      maps: at least two, uint8 `[H, W]` trainIds.

    Returns:
      uint8 `[H, W, 3]` RGB.
    """
    disputed = differ(maps)
    grey = np.repeat((image.mean(axis=2, keepdims=True) / 2).astype(np.uint8), 3, axis=2)
    return np.where(disputed[..., None], np.stack([grey[..., 0] + 127, *2 * [grey[..., 0] // 2]], axis=2), grey)


def confidence_map(confidence: np.ndarray) -> np.ndarray:
    """How sure a label map is, from dark blue (0) through grey to yellow (1), which colour-blind eyes see alike.

    Args:
      confidence: float `[H, W]`, 0-1.

    Returns:
      uint8 `[H, W, 3]` RGB.
    """
    return cv2.applyColorMap(np.rint(confidence * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS)[..., ::-1]


def doubts(image: np.ndarray, maps: Sequence[np.ndarray], confidence: np.ndarray) -> dict[str, np.ndarray]:
    """How sure the merged map is and, with several branches, where they differ: caption -> uint8 `[H, W, 3]` RGB.

    Args:
      image: uint8 `[H, W, 3]` RGB.
      maps: of the merged branches, uint8 `[H, W]` trainIds.
      confidence: of the merged map, float `[H, W]`, 0-1.
    """
    found = {"Confidence: blue 0, yellow 1": confidence_map(confidence)}
    if len(maps) > 1:
        found["Disagreement of branches: red"] = disagreement(image, maps)
    return found


def with_legend(picture: np.ndarray, classes: ClassList) -> np.ndarray:
    """A picture with the classes' names and colours below it.

    Args:
      picture: uint8 `[H, W, 3]` RGB.
      classes: of the label map that it shows.

    Returns:
      uint8 `[H + L, W, 3]` RGB, where L depends on W and the classes alone.
    """
    width = picture.shape[1]
    text = max(9, min(22, round(width / 60)))
    legend = np.asarray(_legend(classes, width, ImageFont.load_default(text), text))
    return np.concatenate([picture, legend])


def panel(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    classes: ClassList,
    photos: Mapping[str, np.ndarray] = types.MappingProxyType({}),
) -> np.ndarray:
    """One picture of an image and its label maps, each with a caption, above a legend of the classes.

    Small images are enlarged without smoothing and large ones shrunk, so that the text has the same weight in all.

    Args:
      image: uint8 `[H, W, 3]` RGB.
      maps: caption -> uint8 `[H, W]` trainIds (255 = ignored, drawn black), in reading order.
      classes: names and colours for the legend.
      photos: caption -> further uint8 `[H, W, 3]` RGB, behind the image.

    Returns:
      uint8 `[height, width, 3]` RGB.
    """
    tiles = {"Image": _resized(image, smooth=True)}
    tiles |= {caption: _resized(photo, smooth=True) for caption, photo in photos.items()}
    for caption, labels in maps.items():
        if labels.shape != image.shape[:2]:
            raise ValueError(f"{caption} is {labels.shape}, the image {image.shape[:2]}")
        tiles[caption] = _resized(colorize(labels, classes), smooth=False)
    tile_height, tile_width = tiles["Image"].shape[:2]
    columns = _columns(len(tiles), tile_width / tile_height)
    rows = math.ceil(len(tiles) / columns)
    text = max(13, round(min(columns * tile_width / 55, tile_width / 14)))
    font = ImageFont.load_default(text)
    gap, caption_height = round(text * 0.6), round(text * 1.7)
    width = gap + columns * (tile_width + gap)

    legend = _legend(classes, width - 2 * gap, font, text)
    cell_height = caption_height + tile_height + gap
    canvas = Image.new("RGB", (width, rows * cell_height + gap + legend.height + gap), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for index, (caption, tile) in enumerate(tiles.items()):
        left = gap + index % columns * (tile_width + gap)
        top = index // columns * cell_height
        draw.text((left, top + caption_height // 2), caption, _INK, font, anchor="lm")
        canvas.paste(Image.fromarray(tile), (left, top + caption_height))
    canvas.paste(legend, (gap, rows * cell_height + gap))
    return np.asarray(canvas)


class Panels:
    """Writes panels of some of the images that it is shown, evenly spread over them.

    Args:
      directory: of the files, made if there are to be any.
      number: how many panels, at most one for each image.
      images: how many images it will be shown.
    """

    def __init__(self, directory: pathlib.Path, *, number: int, images: int):
        number = min(number, images)
        self.written: list[pathlib.Path] = []
        self._directory, self._seen = directory, 0
        self._chosen = {index * images // number for index in range(number)}
        if self._chosen:
            directory.mkdir(parents=True, exist_ok=True)

    def see(self, name: str, draw: Callable[[], np.ndarray]) -> None:
        """The next image: its file's name, and what makes its panel if that is wanted."""
        number, self._seen = self._seen, self._seen + 1
        if number in self._chosen:
            path = self._directory / f"{number:05d}-{pathlib.PurePosixPath(name).stem}.png"
            write_png(path, draw())
            self.written.append(path)


def write_png(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes uint8 `[H, W, 3]` RGB, or `[H, W]` (a label map: the values are the trainIds), atomically."""
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture)[1]
    with files.replacing(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _resized(tile: np.ndarray, smooth: bool) -> np.ndarray:
    height, width = tile.shape[:2]
    longer = max(height, width)
    if longer < _SMALLEST_TILE:
        factor = math.ceil(_SMALLEST_TILE / longer)
        return tile.repeat(factor, axis=0).repeat(factor, axis=1)
    if longer > _LARGEST_TILE:
        size = (max(1, round(width * _LARGEST_TILE / longer)), max(1, round(height * _LARGEST_TILE / longer)))
        return cv2.resize(tile, size, interpolation=cv2.INTER_AREA if smooth else cv2.INTER_NEAREST)
    return tile


def _columns(count: int, aspect: float) -> int:
    """The number of columns that brings a panel of `count` tiles nearest to a screen's 16:9 with few empty cells."""

    def cost(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(columns * aspect / rows / (16 / 9))) + 0.5 * (rows * columns - count)

    return min(range(1, count + 1), key=cost)


def _legend(classes: ClassList, width: int, font: ImageFont.FreeTypeFont, text: int) -> Image.Image:
    """Colour swatches with class names in as many aligned columns as fit."""
    entries = [*zip(classes.names, classes.colors, strict=True), ("ignored", (0, 0, 0))]
    swatch, line = round(text * 0.9), round(text * 1.6)
    entry_width = round(swatch * 1.5 + max(font.getlength(name) for name, _ in entries) + text)
    columns = max(1, width // entry_width)
    rows = math.ceil(len(entries) / columns)
    columns = math.ceil(len(entries) / rows)
    entry_width = width // columns
    legend = Image.new("RGB", (width, rows * line), _BACKGROUND)
    draw = ImageDraw.Draw(legend)
    for index, (name, color) in enumerate(entries):
        left, top = index % columns * entry_width, index // columns * line
        middle = top + line // 2
        box = (left, middle - swatch // 2, left + swatch, middle + swatch // 2)
        draw.rectangle(box, fill=tuple(color), outline=_FRAME)
        draw.text((left + round(swatch * 1.5), middle), name, _INK, font, anchor="lm")
    return legend
