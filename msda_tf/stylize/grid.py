"""The picture grid of a stylize run: images of both domains, there, and there and back."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = ("a", "a to b", "a to b to a", "b", "b to a", "b to a to b")

_LINE, _GAP, _SMALLEST = 18, 2, 96


def grid(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str] = COLUMNS) -> np.ndarray:
    """One picture of rows of equally large pictures, with a caption above each column.

    Args:
      rows: uint8 `[H, W, 3]` RGB each. Small ones are enlarged by a whole factor, without smoothing.
      captions: one for each column.

    Returns:
      uint8 `[height, width, 3]` RGB.
    """
    height, width = rows[0][0].shape[:2]
    factor = max(1, -(-_SMALLEST // min(height, width)))
    height, width = height * factor, width * factor
    size = (_LINE + len(rows) * (height + _GAP), len(captions) * (width + _GAP) - _GAP)
    canvas = np.full((*size, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = _LINE + i * (height + _GAP), j * (width + _GAP)
            enlarged = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
            canvas[top : top + height, left : left + width] = enlarged
    image = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for j, caption in enumerate(captions):
        draw.text((j * (width + _GAP) + 3, 2), caption, fill=(30, 30, 30), font=font)
    return np.asarray(image)
