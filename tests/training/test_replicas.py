"""The same global batch gives the same losses and weights on one device and on two."""

import json
import pathlib
import subprocess
import sys

import numpy as np

TESTS = pathlib.Path(__file__).parent.parent


def result(devices):
    process = subprocess.run(
        [sys.executable, "replicas_process.py", str(devices)], cwd=TESTS, capture_output=True, text=True
    )
    lines = [line for line in process.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, process.stderr[-2000:]
    return json.loads(lines[0].removeprefix("RESULT "))


def test_one_and_two_devices_compute_the_same():
    one, two = result(1), result(2)
    for step, (first, second) in enumerate(zip(one["losses"], two["losses"], strict=True)):
        assert first.keys() == second.keys()
        for name, value in first.items():
            # Adam's first steps are signs, and turn the rounding of a gradient near zero into whole steps.
            tolerance = 1e-5 if step == 0 else 1e-4
            np.testing.assert_allclose(second[name], value, rtol=tolerance, err_msg=f"{name}, step {step}")
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-4)
