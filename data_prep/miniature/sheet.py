"""The contact sheet: a look at frames of the miniatures beside their labels."""

import pathlib

import cv2
import numpy as np

from msda_tf import files
from msda_tf.errors import UsageError
from msda_tf.labels import CITYSCAPES_CLASSES, CITYSCAPES_ID_COLORS

from . import files as street_files
from .domains import STYLES


def contact_sheet(raw: pathlib.Path, path: pathlib.Path, rows: int = 4) -> None:
    """Puts frames of each miniature beside their coloured labels into one PNG.

    Args:
      raw: folder that holds gta5/, synthia/ and cityscapes/ (or some of them) as `generate` writes them.
      path: the PNG to write.
      rows: number of frames of each data set, taken evenly from all of them.

    Raises:
      UsageError: there is none of the three folders.
    """
    raw, path = pathlib.Path(raw), pathlib.Path(path)
    columns = []
    for dataset in STYLES:
        frames = street_files.find(raw / dataset, dataset)
        if not frames:
            continue
        chosen = [frames[int(place)] for place in np.linspace(0, len(frames) - 1, min(rows, len(frames)))]
        cells = [_cell(dataset, *frame) for frame in chosen]
        columns.append(_with_title(dataset, np.concatenate(cells)))
    if not columns:
        raise UsageError(f"{raw} holds no miniature: expected folders named {', '.join(STYLES)}; generate them first")
    tallest = max(column.shape[0] for column in columns)
    padded = [np.pad(column, ((0, tallest - column.shape[0]), (0, 12), (0, 0))) for column in columns]
    sheet = np.concatenate(padded, axis=1)
    sheet = np.concatenate([sheet, _legend(sheet.shape[1])])
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())


def _cell(dataset: str, image: pathlib.Path, label: pathlib.Path, height: int = 224) -> np.ndarray:
    """A frame and its coloured label side by side: uint8 `[height, W, 3]` RGB."""
    if dataset == "synthia":
        colors = cv2.imread(str(label.parent.parent / "COLOR" / label.name))[..., ::-1]
    else:
        table = np.zeros((256, 3), np.uint8)
        for label_id, color in CITYSCAPES_ID_COLORS.items():
            table[label_id] = color
        colors = table[street_files.read_ids(label)]
    picture = cv2.imread(str(image))[..., ::-1]
    extent = (round(height * picture.shape[1] / picture.shape[0]), height)
    picture = cv2.resize(picture, extent, interpolation=cv2.INTER_CUBIC)
    colors = cv2.resize(colors, extent, interpolation=cv2.INTER_NEAREST)
    return np.pad(np.concatenate([picture, colors], axis=1), ((0, 6), (0, 0), (0, 0)))


def _write(pixels: np.ndarray, text: str, at: tuple[int, int], size: float) -> None:
    cv2.putText(pixels, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (235, 235, 235), 1, cv2.LINE_AA)


def _with_title(title: str, pixels: np.ndarray) -> np.ndarray:
    bar = np.zeros((34, pixels.shape[1], 3), np.uint8)
    _write(bar, f"{title} (miniature)", (6, 23), 0.7)
    return np.concatenate([bar, pixels])


def _legend(width: int) -> np.ndarray:
    """The classes' colours and names, as many in a row as fit into `width` pixels."""
    step = 150
    per_row = max(1, width // step)
    bar = np.zeros((26 * -(-len(CITYSCAPES_CLASSES) // per_row) + 8, width, 3), np.uint8)
    for index, (name, color) in enumerate(zip(CITYSCAPES_CLASSES.names, CITYSCAPES_CLASSES.colors, strict=True)):
        x, y = 6 + step * (index % per_row), 4 + 26 * (index // per_row)
        bar[y : y + 18, x : x + 18] = color
        _write(bar, name, (x + 24, y + 14), 0.45)
    return bar
