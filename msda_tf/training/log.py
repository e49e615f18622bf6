"""metrics.jsonl: losses and scores by step, one JSON object a line. Written, cut and read here alone.

    {"step": 10, "seg/output/S1": 2.81, "learning_rate/generator": 0.002, ...}

The step, then numbers by name; what was not finite is null. A process that is killed while it writes leaves half a line
at the end, which counts as not written. Without TensorFlow.
"""

import json
import math
import pathlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msda_tf import files
from msda_tf.errors import MsdaError, reason

LONGEST_LINE = 1 << 20
"""Bytes: a line of a few hundred metrics has some thousands."""


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
      step: number of finished steps.
      values: by name; None where the value was not finite.
    """

    step: int
    values: dict[str, float | None]


def append(path: pathlib.Path, step: int, values: Mapping[str, float]) -> None:
    """Adds a line.

    Raises:
      MsdaError: the disk is full, or the file cannot be written.
    """
    line = json.dumps({"step": step, **{name: finite(value) for name, value in values.items()}})
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise MsdaError(
            f"{path} cannot be written: {reason(error)}; the same command goes on from the last checkpoint"
        ) from None


def read(path: pathlib.Path) -> list[Row]:
    """All lines; none if there is no file.

    Raises:
      MsdaError: the file cannot be read, or holds something else.
    """
    return [row for row, _ in _rows(path)]


def cut(path: pathlib.Path, step: int | None) -> None:
    """Drops the lines beyond `step`, which were logged after the checkpoint from which a run goes on; None: all lines.

    Raises:
      MsdaError: see `read`.
    """
    if step is None:
        path.unlink(missing_ok=True)
    elif path.exists():
        kept = b"".join(line for row, line in _rows(path) if row.step <= step)
        if len(kept) != path.stat().st_size:
            with files.replacing(path) as temporary:
                temporary.write_bytes(kept)


def finite(value: float) -> float | None:
    """The value, or None if JSON has no number for it."""
    return value if math.isfinite(value) else None


def _rows(path: pathlib.Path) -> Iterator[tuple[Row, bytes]]:
    """Each row and its line."""
    if not path.exists():
        return
    try:
        with files.open_regular(path) as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                    return  # the half line of a killed process
                row = _parsed(line)
                if row is None:
                    raise MsdaError(
                        f"{path}, line {number}, is damaged (expected an object of a step and numbers): bring the file "
                        "back from a copy, or remove it to go on without the curves so far"
                    )
                yield row, line
    except OSError as error:
        raise MsdaError(f"{path} cannot be read: {reason(error)}") from None


def _parsed(line: bytes) -> Row | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    step = value.pop("step", None)
    if type(step) is not int or step < 0 or not all(map(_is_number, value.values())):
        return None
    return Row(step, value)


def _is_number(value) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) <= sys.float_info.max)
