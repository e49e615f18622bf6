"""What results were made from: `predict.jsonl` in each folder of results.

Its first line says which weights, how they were merged, and how images were shown to them; each further line names a
result that is whole, with the SHA-256 of the image or video that it was made of:

    {"format": 1, "made_from": {"networks": [{"network": "RUN/networks/sources", "step": 50000,
     "checkpoint_sha256": "...", ...}], "merge": "max-logit", ...}, "data_sets": {"cityscapes": "..."}, ...}
    {"result": "town/a.png", "sha256": "..."}
"""

import contextlib
import json
import os
import pathlib
import threading
from dataclasses import dataclass, field

from msda_tf import __version__, files
from msda_tf.errors import UsageError

FILE_NAME = "predict.jsonl"

_FORMAT = 1
_LONGEST_LINE = 1 << 20


@dataclass
class Record:
    """The record of one folder of results.

    Attributes:
      path: of the file.
      made_from: what `msda_tf.runs.fingerprint` gave; None if there is no record, or none that can be read.
      done: result's name -> SHA-256 of what it was made of; None where that is not known.
    """

    path: pathlib.Path
    made_from: dict | None = None
    done: dict[str, str | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def exists(self) -> bool:
        """Whether there is a file of this name."""
        return self.path.is_file()

    def begin(self, made_from: dict, data_sets: dict[str, str]) -> None:
        """Before the first result: notes what all of them are made from; forgets those of others."""
        if self.made_from is not None and _identity(self.made_from) == _identity(made_from):
            # What a killed process left of a line must not spoil the next one.
            lines = [_line(name, digest) for name, digest in self.done.items()]
        else:
            lines, self.done = [_line(name, None) for name, digest in self.done.items() if digest is None], {}
        head = {"format": _FORMAT, "made_from": made_from, "data_sets": data_sets, "msda_tf": __version__}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(self.path) as temporary:
            temporary.write_text("".join([json.dumps(head) + "\n", *lines]), encoding="utf-8")
        self.made_from = made_from

    def add(self, name: str, digest: str) -> None:
        """A result is whole, made of what has this SHA-256. May be called from several threads."""
        with self._lock:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(_line(name, digest))
            self.done[name] = digest


def read(folder: pathlib.Path, name: str = FILE_NAME) -> Record:
    """The record in a folder; lines that cannot be read count for nothing, so that their results are made again."""
    record = Record(pathlib.Path(folder) / name)
    if not record.exists:
        return record
    with contextlib.suppress(OSError), open(record.path, encoding="utf-8", errors="replace") as file:
        head = _parsed(file.readline(_LONGEST_LINE))
        if head.get("format") == _FORMAT and isinstance(head.get("made_from"), dict):
            record.made_from = head["made_from"]
            while line := file.readline(_LONGEST_LINE):
                value = _parsed(line)
                result, digest = value.get("result"), value.get("sha256")
                if isinstance(result, str) and (digest is None or isinstance(digest, str)):
                    record.done[result] = digest
    return record


def check_same(record: Record, made_from: dict) -> None:
    """Refuses to go on with results that were made from something else.

    Raises:
      UsageError: says what differs.
    """
    folder = record.path.parent
    if record.made_from is None:
        raise UsageError(f"{record.path} is damaged: leave --resume out to make the results in {folder} again")
    if _identity(record.made_from) == _identity(made_from):
        return
    old, new = (_words(each) for each in (record.made_from, made_from))
    if old == new:
        differs = "the settings of its input" if _weights(record.made_from) == _weights(made_from) else "its weights"
        old, new = f"{old} as it was before", f"{new} as it is now: {differs} are others"
    raise UsageError(
        f"{folder} holds results made from {old}, this would add some from {new}: choose another --output, or leave "
        "--resume out to make them all again"
    )


def _identity(made_from: dict) -> dict:
    """All that decides: not the run's name, which changes when its folder is moved."""
    networks = made_from.get("networks")
    if not isinstance(networks, list) or not all(isinstance(network, dict) for network in networks):
        return made_from
    nameless = [{key: value for key, value in network.items() if key != "network"} for network in networks]
    return {**made_from, "networks": nameless}


def _weights(made_from: dict) -> list:
    """Checksums of the networks' weights."""
    networks = made_from.get("networks")
    return [n.get("checkpoint_sha256") for n in networks if isinstance(n, dict)] if isinstance(networks, list) else []


def _words(made_from: dict) -> str:
    """A line about what results were made from, whatever a damaged record holds."""
    networks = made_from.get("networks")
    networks = networks if isinstance(networks, list) else []
    named = [f"{n.get('network')} at step {n.get('step')}" for n in networks if isinstance(n, dict)]
    extras = [f"{key} {made_from.get(key)}" for key in ("merge", "merge_at", "merged", "flip", "size", "windows")]
    return f"{', '.join(named)} ({', '.join(extras)})"[:500]


def _line(name: str, digest: str | None) -> str:
    return json.dumps({"result": name, "sha256": digest}) + "\n"


def _parsed(line: str) -> dict:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def of_submission(output: pathlib.Path) -> tuple[pathlib.Path, str]:
    """(folder, name) of a submission's record: beside its folder, which is uploaded with nothing else in it."""
    whole = pathlib.Path(os.path.abspath(output))
    return whole.parent, f".{whole.name}.{FILE_NAME}"
