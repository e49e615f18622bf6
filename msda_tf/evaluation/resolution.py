"""At what size images were scored: at another one, the same networks have another mean IoU.

In metrics.json and estimate.json, under `resolution`:

    {"sizes": {"1024x512": 500}, "prepared_at": 0.5}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from msda_tf import state_file
from msda_tf.state_file import Damaged

_SIZE = re.compile(r"[1-9]\d{0,8}x[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True)
class Resolution:
    """The sizes of the images that something was scored on, which are those of the label maps that were compared.

    Attributes:
      sizes: "WIDTHxHEIGHT" -> number of images, the most frequent first.
      prepared_at: part of their own width and height that the images were resized to when they were prepared, 0-1; None
        if that is not known.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    prepared_at: float | None = None

    def __str__(self) -> str:
        """As in "1024x512", "1024x512 and 640x480", "1024x512 and 3 other sizes"; empty if nothing was scored."""
        first, *others = self.sizes or ("",)
        if len(others) > 1:
            return f"{first} and {len(others)} other sizes"
        return " and ".join([first, *others])

    def of(self, images: int) -> str:
        """Number and size of images, as titles say it: "500 images of 1024x512"."""
        return f"{images} image{'s' * (images != 1)}" + (f" of {self}" if self.sizes else "")

    def notes(self, name: str) -> list[str]:
        """What whoever compares figures must know; nothing where the images had their own size.

        Args:
          name: of the data set.
        """
        if self.prepared_at in (None, 1):
            return []
        return [
            f"{name} was prepared at {self.prepared_at:g} of its own size and scored at that: figures at the full size "
            "are others"
        ]

    def to_json(self) -> dict:
        """JSON-ready, in the form above."""
        return {"sizes": dict(self.sizes), "prepared_at": self.prepared_at}


class Counter:
    """Counts the sizes of images that it is shown.

    Args:
      prepared_at: as in `Resolution`.
    """

    def __init__(self, prepared_at: float | None):
        self._prepared_at = prepared_at
        self._sizes: dict[str, int] = {}

    def see(self, image: np.ndarray) -> None:
        """The next image or label map, `[H, W, ...]`."""
        height, width = image.shape[:2]
        size = f"{width}x{height}"
        self._sizes[size] = self._sizes.get(size, 0) + 1

    @property
    def resolution(self) -> Resolution:
        """Of the images so far."""
        ordered = sorted(self._sizes.items(), key=lambda item: (-item[1], item[0]))
        return Resolution(dict(ordered), self._prepared_at)


def from_json(value: dict) -> Resolution:
    """Of what holds `resolution`; empty for results of earlier versions, which do not say it. Raises Damaged."""
    if "resolution" not in value:
        return Resolution()
    found = state_file.mapping(value, "resolution")
    sizes = state_file.mapping(found, "sizes")
    for size in sizes:
        if not _SIZE.fullmatch(size):
            raise Damaged(f"resolution: expected sizes such as 1024x512, found {state_file.described(size)}")
        state_file.whole(sizes, size)
    prepared_at = None if found.get("prepared_at") is None else state_file.number(found, "prepared_at")
    return Resolution(sizes, prepared_at)
