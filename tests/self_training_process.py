"""Run by test_self_training.py in a process of its own, because the number of devices is fixed at TensorFlow's start.

Usage: python self_training_process.py DEVICES: trains three steps and prints losses and weights as JSON.
"""

import json
import sys

import tensorflow as tf

devices = int(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

from methods.test_self_training import SMALL, batch, make  # noqa: E402 (imports after the devices are made)
from two_images import spread  # noqa: E402

from msda_tf.training.workers import local_strategy  # noqa: E402

strategy = local_strategy()
assert strategy.num_replicas_in_sync == devices
with strategy.scope():
    step = make(
        strategy, feeds=SMALL, method="adversarial+self-training", masked=True, feature_distance=True,
        pseudo_weight="class", pseudo_floor=0.5,
        classmix_classes="batch", colour_jitter=0.2, blur=True,
    )  # fmt: skip

    step.teacher.floor.floors.assign([0.3, 0.25, 0.2, 0.15, 0.1])

for number in range(3):
    given = batch(number, 1)
    metrics = step(spread(given["sources"], given["target"], strategy))
losses = {name: float(value) for name, value in metrics.items() if not name.startswith("gradient_norm")}
sums = {
    name: [float(tf.reduce_sum(tf.abs(variable))) for variable in network.variables]
    for name, network in (("weights", step.segmenter), ("teacher", step.teacher.network), ("floor", step.teacher.floor))
}
print("RESULT " + json.dumps({"losses": losses, **sums}))
