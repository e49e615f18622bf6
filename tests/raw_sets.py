"""Tiny raw data sets in the native formats, and the trainIds that their labels stand for, worked out by hand."""

import pathlib

import cv2
import numpy as np
from PIL import Image

# Typed from the tables of cityscapesScripts and of SYNTHIA's README, not taken from msda_tf.labels.
CITYSCAPES = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13}
CITYSCAPES |= {27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
CITYSCAPES |= dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, 34), 255)
SYNTHIA = {3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11, 17: 12, 8: 13, 18: 14, 19: 15}
SYNTHIA |= {20: 16, 12: 17, 11: 18, 0: 255, 13: 255, 14: 255, 22: 255}

HEIGHT, WIDTH = 65, 129


def image(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Blocks of random colours with some noise: uint8 `[H, W, 3]`."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 240, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)[:height, :width] + rng.integers(0, 16, (height, width, 3), dtype=np.uint8)


def ids(seed: int, choices, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Blocks of ids, every choice at least once: uint8 `[H, W]`."""
    rng = np.random.default_rng(seed)
    blocks = rng.choice(np.array(list(choices), np.uint8), (height // 4 + 1, width // 4 + 1))
    blocks.flat[: len(choices)] = list(choices)
    return blocks.repeat(4, 0).repeat(4, 1)[:height, :width]


def mapped(values: np.ndarray, table: dict[int, int]) -> np.ndarray:
    """The ids through a table, pixel by pixel."""
    return np.array([table[value] for value in values.ravel().tolist()], np.uint8).reshape(values.shape)


def gta5(root: pathlib.Path, frames: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Writes palette labels; returns image name -> (image, trainIds)."""
    made = {}
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(1, frames + 1):
        pixels, label = image(number), ids(number, CITYSCAPES)
        Image.fromarray(pixels).save(root / f"images/{number:05d}.png")
        palette = Image.fromarray(label).convert("P")
        palette.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
        palette.save(root / f"labels/{number:05d}.png")
        made[f"images/{number:05d}.png"] = pixels, mapped(label, CITYSCAPES)
    return made


def synthia_label(classes: np.ndarray) -> np.ndarray:
    """uint16 `[H, W, 3]` as OpenCV writes it: blue 0, green instance, red class."""
    instances = np.arange(classes.size, dtype=np.uint16).reshape(classes.shape)
    return np.dstack([np.zeros_like(instances), instances, classes.astype(np.uint16)])


def synthia(root: pathlib.Path, frames: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Writes 16-bit labels; returns image name -> (image, trainIds)."""
    made = {}
    for folder in ("RGB", "GT/LABELS"):
        (root / folder).mkdir(parents=True)
    for number in range(frames):
        pixels, label = image(number), ids(number, SYNTHIA)
        Image.fromarray(pixels).save(root / f"RGB/{number:07d}.png")
        cv2.imwrite(str(root / f"GT/LABELS/{number:07d}.png"), synthia_label(label))
        made[f"RGB/{number:07d}.png"] = pixels, mapped(label, SYNTHIA)
    return made


def cityscapes(root: pathlib.Path, splits: dict[str, int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Writes two cities per split; returns image name -> (image, trainIds)."""
    made = {}
    for split, frames in splits.items():
        for number in range(frames):
            city = ("aachen", "bochum")[number % 2]
            stem = f"{city}_{number:06d}_000019"
            pixels, label = image(number), ids(number, CITYSCAPES.keys() - {34})
            for kind, end, array in (("leftImg8bit", "leftImg8bit", pixels), ("gtFine", "gtFine_labelIds", label)):
                folder = root / kind / split / city
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(folder / f"{stem}_{end}.png")
            made[f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png"] = pixels, mapped(label, CITYSCAPES)
    return made
