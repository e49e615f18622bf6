"""The pace of training in words."""

from msda_tf.training import pace


def test_what_is_logged_is_said():
    metrics = {"images_per_second": 12.345, "waiting_for_data": 0.021, "memory/process": 3.0, "seg/output/S1": 1.0}
    assert pace.described(metrics) == "12.3 images/s, 2 % waiting"
    gpus = {"memory/gpu0": 7.96, "memory/gpu1": 8.14}
    assert pace.described(metrics | gpus) == "12.3 images/s, 2 % waiting, GPU 8.1 GiB"
