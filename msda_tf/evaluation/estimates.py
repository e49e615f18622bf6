"""`estimate.json`: what `evaluate` leaves in a run directory where there are no labels to score against.

    {"target": "mycity", "split": "train", "images": 500,
     "resolution": {"sizes": {"1024x512": 500}, "prepared_at": 1.0},
     "labels_read": false,
     "made_from": {...},
     "estimates": {"S1": {"miou": 0.41, "error": 0.04, "own": 0.4, ...}, ..., "Max Merge": {...}},
     "notes": ["an estimate: ...", ...]}

`made_from` is as in metrics.json. The figures of each branch and merge are those of `unlabelled.Estimate`: fractions
0-1, or nats.
"""

import dataclasses
import pathlib
from dataclasses import dataclass

from msda_tf import files, state_file
from msda_tf.errors import MsdaError
from msda_tf.evaluation import resolution
from msda_tf.evaluation.resolution import Resolution
from msda_tf.evaluation.unlabelled import Estimate
from msda_tf.state_file import Damaged

NOTE = (
    "an estimate: no label of the target was read; ± is one standard error, over images and as wrong as such estimates "
    "are on sources that the branches have not seen; between real data sets they were up to 9 points too high"
)

_ALWAYS = ("miou", "error", "consensus", "agreement", "entropy", "density")


@dataclass(frozen=True)
class Estimates:
    """The content of one `estimate.json`.

    Attributes:
      target: name of the data set.
      split: its split.
      images: number of images looked at.
      estimates: by branch and merge.
      made_from: which weights were looked at on which data, and how they were merged (JSON-ready).
      resolution: sizes of the images.
      notes: what whoever sees the figures must know, a sentence each.
    """

    target: str
    split: str
    images: int
    estimates: dict[str, Estimate]
    made_from: dict
    resolution: Resolution
    notes: tuple[str, ...] = ()


def write(found: Estimates, path: pathlib.Path) -> None:
    """Writes `path` atomically."""
    files.write_json(path, to_json(found))


def to_json(found: Estimates) -> dict:
    """JSON-ready dictionaries in the form above."""
    return {
        "target": found.target,
        "split": found.split,
        "images": found.images,
        "resolution": found.resolution.to_json(),
        "labels_read": False,
        "made_from": found.made_from,
        "estimates": {name: dataclasses.asdict(each) for name, each in found.estimates.items()},
        "notes": list(found.notes),
    }


def read(path: pathlib.Path) -> Estimates:
    """Reads what `write` wrote.

    Raises:
      MsdaError: the file is missing or damaged.
    """
    again = "run msda-tf evaluate --unlabelled"
    try:
        value = state_file.load(pathlib.Path(path))
        entries = state_file.mapping(value, "estimates")
        return Estimates(
            target=state_file.text(value, "target"),
            split=state_file.text(value, "split"),
            images=state_file.whole(value, "images"),
            estimates={name: _estimate(state_file.mapping(entries, name)) for name in entries},
            made_from=state_file.mapping(value, "made_from"),
            resolution=resolution.from_json(value),
            notes=state_file.texts(value, "notes"),
        )
    except FileNotFoundError:
        raise MsdaError(f"{path} does not exist: {again}") from None
    except Damaged as error:
        raise MsdaError(f"{path} is damaged ({error}): {again} again") from None


def _estimate(entry: dict) -> Estimate:
    """Of a branch or merge; raises Damaged."""
    values = {}
    for each in dataclasses.fields(Estimate):
        missing = each.name not in _ALWAYS and entry.get(each.name) is None
        values[each.name] = None if missing else state_file.number(entry, each.name)
    return Estimate(**values)
