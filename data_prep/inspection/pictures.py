"""The pictures of an inspection: the class histogram beside other data sets, and a contact sheet."""

import io

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from msda_tf.data.manifest import Manifest
from msda_tf.evaluation.pictures import colorize, overlay
from msda_tf.labels import ClassList
from msda_tf.printable import printable

from .inspect import RARE, Sample, class_shares, labelled_split

_BARS = ("#1f3a5f", "#e08e45", "#5b9279", "#b0413e", "#8d6a9f", "#a0a0a0")  # the inspected data set first
_DPI = 110
_INK = (30, 30, 30)


def histogram(manifest: Manifest, others: list[Manifest], *, width: int = 1200) -> np.ndarray | None:
    """Share of each class among the labelled pixels, on a logarithmic axis, as one bar per data set.

    Args:
      manifest: the inspected data set.
      others: to compare with (at most five are drawn); of the same classes.
      width: of the picture in pixels.

    Returns:
      uint8 `[H, W, 3]` RGB; None if no split of the data set has labels.
    """
    if labelled_split(manifest) is None:
        return None
    drawn = [manifest, *others[: len(_BARS) - 1]]
    names = manifest.classes.names
    bar = 0.84 / len(drawn)
    positions = np.arange(len(names))
    figure = Figure(figsize=(width / _DPI, 4.6), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    floor = RARE / 10
    for index, (each, color) in enumerate(zip(drawn, _BARS, strict=False)):
        split = labelled_split(each)
        shares = class_shares(each.splits[split])
        offset = (index - (len(drawn) - 1) / 2) * bar
        axes.bar(
            positions + offset, np.maximum(shares, floor), bar, label=printable(f"{each.name} ({split})"), color=color
        )
        for position in positions[shares == 0]:
            axes.text(position + offset, floor * 1.1, "none", rotation=90, ha="center", va="bottom", size=7)
    axes.set_yscale("log")
    axes.set_ylim(floor, 1)
    ticks = [10.0**power for power in range(-5, 1)]
    axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.set_ylabel("share of labelled pixels")
    shown_names = [printable(name) for name in names]
    axes.set_xticks(positions, shown_names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for position, color in zip(positions, manifest.classes.colors, strict=True):
        shown = np.asarray(color) / 255
        place = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.plot(position, -0.02, "s", color=shown, markeredgecolor="0.5", markersize=7, **place)
    axes.tick_params(axis="x", length=0, pad=9)
    legend = axes.legend(frameon=False, ncols=len(drawn), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold dollar signs
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


def contact_sheet(samples: list[Sample], classes: ClassList, *, tile_width: int = 300) -> np.ndarray:
    """Frames in two columns, each as image, label colours, and both over one another; images alone in four columns.

    Returns:
      uint8 `[H, W, 3]` RGB.
    """
    labelled = any(sample.label is not None for sample in samples)
    columns, per_frame = (2, 3) if labelled else (4, 1)
    columns = min(columns, len(samples))
    gap, caption = 8, 20
    font = ImageFont.load_default(12)
    cells = [_cell(sample, classes, tile_width, per_frame) for sample in samples]
    cell_width = max(cell.shape[1] for cell in cells)
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.shape[0] for cell in row) + caption + gap for row in rows]
    sheet = Image.new("RGB", (gap + columns * (cell_width + gap), gap + sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    top, remaining = gap, iter(samples)
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            left = gap + column * (cell_width + gap)
            draw.text((left, top + 2), _fitting(next(remaining).name, font, cell_width), _INK, font)
            sheet.paste(Image.fromarray(cell), (left, top + caption))
        top += height
    return np.asarray(sheet)


def _cell(sample: Sample, classes: ClassList, tile_width: int, per_frame: int) -> np.ndarray:
    pictures = [sample.image]
    if sample.label is not None:
        pictures += [colorize(sample.label, classes), overlay(sample.image, sample.label, classes)]
    height, width = sample.image.shape[:2]
    # The picture of a column of pixels would be hundreds of times as high as it is wide.
    size = (tile_width, min(4 * tile_width, max(1, round(height * tile_width / width))))
    # Labels without smoothing, as their colours must stay those of the legend.
    ways = [cv2.INTER_AREA, cv2.INTER_NEAREST, cv2.INTER_AREA]
    tiles = [cv2.resize(picture, size, interpolation=way) for picture, way in zip(pictures, ways, strict=False)]
    blank = np.full((size[1], size[0], 3), 255, np.uint8)
    tiles += [blank] * (per_frame - len(tiles))
    edge = np.full((size[1], 2, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, edge)][:-1], axis=1)


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The end of a path that fits into `width` pixels."""
    text = printable(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"...{text}") > width:
        text = text[1:]
    return f"...{text}"
