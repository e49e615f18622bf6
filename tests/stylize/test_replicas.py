"""Two devices train as one does: the same crops, the same noise, the same losses."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[1] / "unit_replicas_process.py"


def result(devices, data):
    command = [sys.executable, str(SCRIPT), str(devices), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


def test_two_devices_equal_one(prepared_data):
    one, two = result(1, prepared_data), result(2, prepared_data)
    for ours, theirs in zip(one["losses"], two["losses"], strict=True):
        assert theirs == pytest.approx(ours, rel=1e-4)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-4)
