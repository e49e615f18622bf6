"""metrics.jsonl: what is written is read; half a line is none; anything else is refused in one line."""

import json
import math
import pathlib

import pytest

from msda_tf.errors import MsdaError
from msda_tf.training import log


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert log.read(path) == []
    log.append(path, 0, {"miou/S1": 0.5})
    log.append(path, 10, {"seg": 2.5, "norm": math.inf, "other": math.nan, "whole": 3})
    assert log.read(path) == [
        log.Row(0, {"miou/S1": 0.5}),
        log.Row(10, {"seg": 2.5, "norm": None, "other": None, "whole": 3}),
    ]
    # Other programs read it, too.
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 10]


@pytest.mark.parametrize(("step", "left"), [(None, []), (0, [0]), (9, [0]), (10, [0, 10, 10]), (20, [0, 10, 10, 20])])
def test_cutting(tmp_path, step, left):
    path = tmp_path / "metrics.jsonl"
    for each in (0, 10, 10, 20):
        log.append(path, each, {"loss": each})
    log.cut(path, step)
    assert [row.step for row in log.read(path)] == left


def test_half_a_line_is_none_and_goes_with_the_next_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log.append(path, 10, {"loss": 1.0})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 20, "lo')
    assert [row.step for row in log.read(path)] == [10]
    log.cut(path, 30)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\xff\xfe\n",
        b"{\n",
        b"[]\n",
        b"{}\n",
        b'{"step": "ten"}\n',
        b'{"step": true}\n',
        b'{"step": -1}\n',
        b'{"step": 1.5}\n',
        b'{"step": 1, "loss": "low"}\n',
        b'{"step": 1, "loss": [1]}\n',
        b'{"step": 1, "loss": NaN}\n',
        b'{"step": 1, "loss": 1e999}\n',
        b'{"step": 1, "loss": ' + b"9" * 400 + b"}\n",
        b'{"step": ' + b"9" * 5000 + b"}\n",
        b"[" * 100_000 + b"\n",
        b"x" * (log.LONGEST_LINE + 1),
    ],
)
def test_anything_else_is_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    log.append(path, 0, {"loss": 1.0})
    path.write_bytes(path.read_bytes() + line + b'{"step": 2}\n')
    for action in (lambda: log.read(path), lambda: log.cut(path, 5)):
        with pytest.raises(MsdaError, match=r"metrics.jsonl, line 2, is damaged .* from a copy, or remove it") as error:
            action()
        assert "\n" not in str(error.value)


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(MsdaError, match="cannot be read: Is a directory"):
        log.read(tmp_path)


def test_a_full_disk_names_the_file_and_what_to_do():
    full = pathlib.Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(MsdaError, match=r"/dev/full cannot be written: No space left.*; the same command goes on"):
        log.append(full, 1, {"loss": 1.0})
