"""The same global batch gives the same losses and weights on one device and on two."""

import numpy as np
import pytest
import tensorflow as tf
from json_process import result

from msda_tf.training import replicas
from msda_tf.training.workers import local_strategy


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


def test_one_cpu_is_fed_without_a_tuner_which_may_take_a_minute_to_end(monkeypatch):
    """Also one of several workers, which gets its own part of each batch."""

    def make(worker, workers):
        batches = tf.data.Dataset.range(worker, 100, workers)
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches.with_options(options)

    batches = replicas.distribute(make, local_strategy(), batch_size=1)
    assert not batches.options().autotune.enabled
    assert [int(batch) for batch in batches.take(3)] == [0, 1, 2]
    two = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
    monkeypatch.setenv("TF_CONFIG", two)

    class OfTwo:
        num_replicas_in_sync = 2

    assert [int(batch) for batch in replicas.distribute(make, OfTwo(), batch_size=2).take(3)] == [1, 3, 5]
