"""What prediction writes of an image: label map, colours, overlay, confidence."""

import numpy as np

from msda_tf.evaluation import pictures
from msda_tf.labels import ClassList
from msda_tf.prediction import submission

KINDS = ("labels", "colors", "overlays", "confidence")
"""Folders of results: trainIds as 8-bit greyscale, the classes' colours, these over the image, and the probability of
the pixel's class as greyscale (0 to 255 for 0 to 1)."""

DEFAULT_KINDS = KINDS[:3]

LABEL_IDS = "labelIds"
"""The kind of a submission: Cityscapes' labelIds as 8-bit greyscale."""


SHOWN = ("colors", "overlays")
"""Those whose colours mean classes: they can have a legend."""


def picture(
    kind: str, image: np.ndarray, maps: dict[str, np.ndarray], classes: ClassList, *, legend: bool = False
) -> np.ndarray:
    """One kind of result.

    Args:
      kind: one of `KINDS`, or `LABEL_IDS`.
      image: uint8 `[H, W, 3]` RGB.
      maps: "labels": trainIds uint8 `[H, W]`; for confidence, "confidence": float32 `[H, W]`, 0-1.
      classes: whose colours.
      legend: put names and colours of the classes below what is among `SHOWN`.

    Returns:
      uint8 `[H, W]`, or `[H, W, 3]` RGB; with a legend, higher than the image.
    """
    if legend and kind in SHOWN:
        return pictures.with_legend(picture(kind, image, maps, classes), classes)
    if kind == "labels":
        return maps["labels"]
    if kind == "colors":
        return pictures.colorize(maps["labels"], classes)
    if kind == "overlays":
        return pictures.overlay(image, maps["labels"], classes)
    if kind == LABEL_IDS:
        return submission.label_ids(maps["labels"])
    return np.rint(maps["confidence"] * 255).astype(np.uint8)
