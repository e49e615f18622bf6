"""Images of a source that are never trained on: which they are follows from their names alone.

A branch's figures on images that it learned by heart say nothing; on a few that were held out they tell how sure it may
be of itself, and on those of *other* sources how it fares on a domain that it has not seen.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

SHARE = 10
"""At most one image in so many, rounded up, is held out of a data set."""


def count(images: int, most: int) -> int:
    """How many of so many images are held out: at most `most` and a tenth of them, rounded up; never the only one."""
    return min(most, -(-images // SHARE)) if images > 1 else 0


def chosen(names: Sequence[bytes | None], most: int) -> np.ndarray:
    """Which images are held out: bool `[N]`.

    Those whose names have the lowest SHA-256: neither the order of the images nor a seed plays a part, and a copy of
    the data set in another style holds out the same.

    Args:
      names: of the images; those without one stay in training.
      most: how many at most (see `count`).
    """
    number = count(len(names), most)
    known = [(hashlib.sha256(name).digest(), index) for index, name in enumerate(names) if name is not None]
    held = np.zeros(len(names), bool)
    held[[index for _, index in sorted(known)[:number]]] = True
    return held
