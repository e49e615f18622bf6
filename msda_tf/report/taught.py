"""What a teacher said of the target while it trained: shares and sureness of classes, and panels that training kept."""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf.errors import MsdaError
from msda_tf.report.encode import webp
from msda_tf.runs.trained import Trained
from msda_tf.training import log
from msda_tf.training.folder import TrainingFolder

MOST_PICTURES = 3
"""Of a network: the first, the middle and the last that there are."""

_SHARE, _SURENESS = "pseudo_label_share/", "pseudo_label_sureness/"


@dataclass(frozen=True)
class Taught:
    """One network's teacher.

    Attributes:
      network: "RUN, network NAME".
      rows: (class, share of the pseudo-labels' pixels, mean confidence of those) by the last line of the log, 0-1; the
        confidence is None for a class that was never given.
      pictures: (step, data URI) of each panel.
    """

    network: str
    rows: tuple[tuple[str, float, float | None], ...]
    pictures: tuple[tuple[int, str], ...]


def read(networks: Trained) -> list[Taught]:
    """Of the networks that have a teacher.

    Raises:
      MsdaError: a log or a picture is damaged.
    """
    found = []
    for checkpoint in networks.checkpoints:
        folder = TrainingFolder(checkpoint.network)
        logged = [row.values for row in log.read(folder.log) if any(name.startswith(_SHARE) for name in row.values)]
        if logged:
            last = logged[-1]
            names = [name.removeprefix(_SHARE) for name in last if name.startswith(_SHARE)]
            rows = tuple((name, last[_SHARE + name] or 0.0, last.get(_SURENESS + name) or None) for name in names)
            label = f"{checkpoint.network.parents[1].name}, network {checkpoint.network.name}"
            found.append(Taught(label, rows, tuple(map(_picture, _some(sorted(folder.pictures.glob("step-*.png")))))))
    return found


def _some(paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    places = np.linspace(0, len(paths) - 1, min(len(paths), MOST_PICTURES)).round().astype(int)
    return [paths[place] for place in places]


def _picture(path: pathlib.Path) -> tuple[int, str]:
    try:
        return int(path.name.split("-")[1]), webp(tf.io.decode_png(path.read_bytes(), channels=3).numpy(), quality=82)
    except (OSError, ValueError, tf.errors.OpError):
        raise MsdaError(f"{path} is no picture that training kept: remove it to go on without") from None
