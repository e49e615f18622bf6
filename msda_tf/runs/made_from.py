"""What a result was made from: which weights, how they were merged, and the data they were scored on.

In metrics.json, in an export's metadata and wherever else a result is kept:

    {"merge": "max-logit", "merge_at": "image", "merged": ["S1", "S2"],
     "networks": [{"network": "RUN/networks/sources", "step": 50000, "selected_on_target_labels": false,
                   "checkpoint_sha256": "..."}],
     "data": {"name": "cityscapes", "directory": "/data/cityscapes", "dataset_sha256": "...", "as_trained": true}}

`checkpoint_sha256` is that of the checkpoint's checkpoint.json, which holds those of its files; `dataset_sha256` is
that of dataset.json, which holds those of the shards. Results of earlier versions have neither. `teacher`, true or
false, stands beside the weights of runs that have a teacher and a student, and `window`, [height, width], beside those
of networks which images passed in windows.
"""

import pathlib
from dataclasses import dataclass, replace

from msda_tf import state_file
from msda_tf.errors import MsdaError
from msda_tf.state_file import Damaged

_OPTIONAL = ("teacher", "window")
"""What only some weights have."""


@dataclass(frozen=True)
class Checkpoint:
    """Which weights a network got.

    Attributes:
      network: the folder "RUN/networks/NAME".
      step: number of finished training steps.
      steps: how many the run is to have.
      selected: "last", "best" (by its score on the target's labels) or "unlabelled" (by its estimate without them).
      sha256: by which the checkpoint is known.
      teacher: whether they are the teacher's weights, or the student's; None of a method without teacher.
    """

    network: pathlib.Path
    step: int
    steps: int
    selected: str
    sha256: str
    teacher: bool | None = None


@dataclass(frozen=True)
class Weights:
    """One network's weights, as results name them.

    Attributes:
      network: "RUN/networks/NAME", the last three parts of its folder.
      step: number of finished training steps.
      selected_on_target_labels: whether it was the checkpoint with the best score on the target's labels.
      checkpoint_sha256: None in results of earlier versions.
      teacher: as in `Checkpoint`.
      window: (height, width) of the windows in which images passed; None if they passed whole.
    """

    network: str
    step: int
    selected_on_target_labels: bool
    checkpoint_sha256: str | None = None
    teacher: bool | None = None
    window: tuple[int, int] | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, window: tuple[int, int] | None = None) -> "Weights":
        """A checkpoint's."""
        name = "/".join(checkpoint.network.resolve().parts[-3:])
        return cls(name, checkpoint.step, checkpoint.selected == "best", checkpoint.sha256, checkpoint.teacher, window)

    @property
    def run(self) -> str:
        """Name of the run's folder."""
        return self.network.split("/")[0]

    def may_be(self, other: "Weights") -> bool:
        """Whether nothing tells that these are others: checksums count where both are known."""
        known = None not in (self.checkpoint_sha256, other.checkpoint_sha256)
        return self == (other if known else replace(other, checkpoint_sha256=self.checkpoint_sha256))


@dataclass(frozen=True)
class ScoredData:
    """The data set that something was scored on.

    Attributes:
      name: of it.
      directory: its folder, absolute.
      dataset_sha256: of its dataset.json.
      as_trained: whether it is what the networks were adapted to; otherwise somebody asked for other data.
    """

    name: str
    directory: str
    dataset_sha256: str
    as_trained: bool


@dataclass(frozen=True)
class MadeFrom:
    """What a result was made from.

    Attributes:
      merge, merge_at: how maps were merged; None where that is not known.
      merged: shown names of the branches that were.
      networks: their weights.
      data: what they were scored on; None if they were not, or in results of earlier versions.
    """

    merge: str | None = None
    merge_at: str | None = None
    merged: tuple[str, ...] = ()
    networks: tuple[Weights, ...] = ()
    data: ScoredData | None = None

    def to_json(self) -> dict:
        """JSON-ready, in the form above."""
        value = {
            "merge": self.merge,
            "merge_at": self.merge_at,
            "merged": list(self.merged),
            "networks": [
                {key: value for key, value in vars(weights).items() if key not in _OPTIONAL or value is not None}
                for weights in self.networks
            ],
        }
        return value if self.data is None else {**value, "data": vars(self.data)}

    @classmethod
    def from_json(cls, value: dict) -> "MadeFrom":
        """Of `to_json`, or of an earlier version's, where keys may be missing.

        Raises:
          MsdaError: it is damaged.
        """
        try:
            data = state_file.mapping(value, "data") if value.get("data") is not None else None
            return cls(
                merge=_optional(value, "merge"),
                merge_at=_optional(value, "merge_at"),
                merged=state_file.texts(value, "merged") if "merged" in value else (),
                networks=tuple(map(_weights, state_file.mappings(value, "networks") if "networks" in value else [])),
                data=data and _data(data),
            )
        except Damaged as error:
            raise MsdaError(f"made_from is damaged ({error}): run msda-tf evaluate again") from None


def _weights(value: dict) -> Weights:
    return Weights(
        state_file.text(value, "network"),
        state_file.whole(value, "step"),
        state_file.flag(value, "selected_on_target_labels"),
        _optional(value, "checkpoint_sha256"),
        None if value.get("teacher") is None else state_file.flag(value, "teacher"),
        None if value.get("window") is None else _window(value),
    )


def _window(value: dict) -> tuple[int, int]:
    height, width = state_file.numbers(value, "window", 2)
    return int(height), int(width)


def _data(value: dict) -> ScoredData:
    return ScoredData(
        state_file.text(value, "name"),
        state_file.text(value, "directory"),
        state_file.text(value, "dataset_sha256"),
        state_file.flag(value, "as_trained"),
    )


def _optional(value: dict, key: str) -> str | None:
    return None if value.get(key) is None else state_file.text(value, key)
