"""Two devices train as one does: the same crops, the same noise, the same losses."""

import pytest
from json_process import result


def test_two_devices_equal_one(prepared_data):
    one, two = (result("unit_replicas_process.py", devices, prepared_data) for devices in (1, 2))
    for ours, theirs in zip(one["losses"], two["losses"], strict=True):
        assert theirs == pytest.approx(ours, rel=1e-4)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-4)
