"""Writing a frame the way each data set does, and finding it again."""

import pathlib

import cv2
import numpy as np
from PIL import Image

from msda_tf.labels import CITYSCAPES_CLASSES, CITYSCAPES_ID_COLORS

from .kinds import Kind, cityscapes_ids, synthia_ids
from .street import Frame

CITIES = {"train": ("aachen", "bremen", "cologne", "dusseldorf"), "val": ("frankfurt", "lindau", "munster")}
"""Folders of the Cityscapes-like splits; frames go to them in turn."""

_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
"""On noisy pictures, runs alone compress as well as the whole of zlib, in two thirds of the time."""

_LANE_MARKING_COLOR = (157, 234, 50)


def paths(dataset: str, split: str, index: int) -> tuple[pathlib.PurePosixPath, pathlib.PurePosixPath]:
    """Image and label file of a frame inside its data set.

    Args:
      dataset: gta5, synthia or cityscapes.
      split: train or val; only Cityscapes knows the difference.
      index: number of the frame in its split, from 0.
    """
    if dataset == "gta5":
        name = f"{index + 1:05d}.png"
        files = f"images/{name}", f"labels/{name}"
    elif dataset == "synthia":
        name = f"{index:07d}.png"
        files = f"RGB/{name}", f"GT/LABELS/{name}"
    else:
        city = CITIES[split][index % len(CITIES[split])]
        stem = f"{split}/{city}/{city}_{index // len(CITIES[split]):06d}_000019"
        files = f"leftImg8bit/{stem}_leftImg8bit.png", f"gtFine/{stem}_gtFine_labelIds.png"
    return tuple(pathlib.PurePosixPath(file) for file in files)


def find(folder: pathlib.Path, dataset: str) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Image and label file of every frame in a data set's folder, sorted; empty if there is none."""
    if dataset == "cityscapes":
        images = sorted(folder.glob("leftImg8bit/*/*/*_leftImg8bit.png"))
        labels = [str(path).replace("leftImg8bit", "gtFine") for path in images]
        return [(path, pathlib.Path(label[:-4] + "_labelIds.png")) for path, label in zip(images, labels, strict=True)]
    pictures, labels = {"gta5": ("images", "labels"), "synthia": ("RGB", "GT/LABELS")}[dataset]
    return [(path, folder / labels / path.name) for path in sorted((folder / pictures).glob("*.png"))]


def write(folder: pathlib.Path, dataset: str, split: str, index: int, frame: Frame) -> None:
    """Writes a frame's image and label, and for SYNTHIA the coloured label, into a data set's folder.

    Raises:
      OSError: a file cannot be written.
    """
    image, label = (folder / path for path in paths(dataset, split, index))
    _write_png(image, frame.image[..., ::-1])
    if dataset == "synthia":
        ids = np.zeros((*frame.kinds.shape, 3), np.uint16)  # OpenCV's order: blue, green, red
        ids[..., 2] = synthia_ids()[frame.kinds]
        ids[..., 1] = frame.instances
        _write_png(label, ids)
        _write_png(label.parent.parent / "COLOR" / label.name, _KIND_COLORS[frame.kinds][..., ::-1])
    elif dataset == "gta5":
        label.parent.mkdir(parents=True, exist_ok=True)
        indexed = Image.fromarray(cityscapes_ids()[frame.kinds])
        indexed.putpalette(_GTA5_PALETTE)
        indexed.save(label, "PNG", compress_level=1)
    else:
        _write_png(label, cityscapes_ids()[frame.kinds])


def read_ids(path: pathlib.Path) -> np.ndarray:
    """The label ids of a GTA5 or Cityscapes label file, uint8 `[H, W]`: Pillow leaves palette indices alone."""
    with Image.open(path) as label:
        return np.array(label)


def _write_png(path: pathlib.Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels, _FAST)[1].tobytes())


def _gta5_palette() -> list[int]:
    table = np.zeros((256, 3), np.uint8)
    for label, color in CITYSCAPES_ID_COLORS.items():
        table[label] = color
    return table.ravel().tolist()


def _kind_colors() -> np.ndarray:
    table = np.zeros((len(Kind), 3), np.uint8)
    table[: len(CITYSCAPES_CLASSES)] = CITYSCAPES_CLASSES.colors
    table[Kind.LANE_MARKING] = _LANE_MARKING_COLOR
    return table


_GTA5_PALETTE = _gta5_palette()
_KIND_COLORS = _kind_colors()
