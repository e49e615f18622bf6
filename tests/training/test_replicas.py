"""The same global batch gives the same losses and weights on one device and on two."""

import numpy as np
import pytest
from json_process import result


def test_one_and_two_devices_compute_the_same():
    one, two = (result("replicas_process.py", devices) for devices in (1, 2))
    for step, (first, second) in enumerate(zip(one["losses"], two["losses"], strict=True)):
        assert first.keys() == second.keys()
        for name, value in first.items():
            # Adam's first steps are signs, and turn the rounding of a gradient near zero into whole steps.
            tolerance = 1e-5 if step == 0 else 1e-4
            np.testing.assert_allclose(second[name], value, rtol=tolerance, err_msg=f"{name}, step {step}")
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-4)
    # Clipped by the norm of what all devices have together, not each device's part by its own.
    assert (one["clipped"], two["clipped"]) == (pytest.approx(1, rel=1e-4), pytest.approx(1, rel=1e-4))


def test_what_each_device_does_by_itself_can_be_compiled():
    found = result("compiled_replicas_process.py")
    assert found["compiled"] == pytest.approx(found["plain"], rel=1e-4) and len(found["plain"]) > 6
