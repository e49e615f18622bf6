"""Run by test_replicas.py in a process of its own, because the number of devices is fixed at TensorFlow's start.

Takes a step on two devices, plain and compiled by XLA, from the same weights, and prints the losses of both as JSON.
"""

import dataclasses
import json

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from methods.test_adversarial import CONFIG, images, make_step  # noqa: E402 (imports after the devices are made)
from two_images import spread  # noqa: E402

from msda_tf.training.workers import local_strategy  # noqa: E402

strategy = local_strategy()

batch = spread([images(0, 33, 41)], images(1, 41, 33, labelled=False), strategy)
found = {}
for name, jit in (("plain", False), ("compiled", True)):
    with strategy.scope():
        step = make_step(dataclasses.replace(CONFIG, jit=jit), feeds=(("S1",),), strategy=strategy)
    metrics = step(batch) if jit else step.eagerly(batch)
    found[name] = {loss: float(value) for loss, value in metrics.items()}
    weights = [tf.reduce_sum(tf.abs(variable)) for variable in step.segmenter.generator_variables]
    found[name]["weights"] = float(tf.add_n(weights))
print("RESULT " + json.dumps(found))
