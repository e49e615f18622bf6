"""Results as Cityscapes' benchmark server takes them (cityscapes-dataset.com/submit).

One PNG of labelIds for each test image, 2048x1024, whose name begins with city, sequence and frame. cityscapesScripts
looks for `<city>_<sequence>_<frame>*.png` and refuses a folder that holds two such files.
"""

import pathlib
import re

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.labels import CITYSCAPES_CLASSES, CITYSCAPES_IDS, ClassList

SIZE = (1024, 2048)
"""(height, width) of every label map."""

_FRAME = re.compile(r"([A-Za-z-]+_\d{6}_\d{6})(?!\d)")


def names(images: list[pathlib.PurePath]) -> dict[pathlib.PurePath, pathlib.PurePath]:
    """The name of each image's result, all in one folder.

    Raises:
      UsageError: an image is not named as Cityscapes' are, or two are the same frame.
    """
    found: dict[str, pathlib.PurePath] = {}
    for image in images:
        match = _FRAME.match(image.name)
        if not match:
            raise UsageError(
                f"{image} is not named as a Cityscapes frame: expected CITY_SEQUENCE_FRAME_leftImg8bit.png, such as "
                "berlin_000000_000019_leftImg8bit.png"
            )
        if match[1] in found:
            raise UsageError(f"{image} and {found[match[1]]} are the same frame {match[1]}: keep one of them")
        found[match[1]] = image
    return {image: pathlib.PurePath(f"{frame}_labelIds.png") for frame, image in found.items()}


def check_classes(classes: ClassList) -> None:
    """Raises UsageError unless the classes are those that Cityscapes evaluates."""
    if classes.names != CITYSCAPES_CLASSES.names:
        raise UsageError(
            f"the run has {len(classes)} classes of its own: a submission needs the {len(CITYSCAPES_CLASSES)} of "
            "Cityscapes"
        )


def label_ids(train_ids: np.ndarray) -> np.ndarray:
    """uint8 `[H, W]` trainIds to labelIds."""
    return np.array(CITYSCAPES_IDS, np.uint8)[train_ids]
