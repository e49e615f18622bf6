"""Run by test_replicas.py in a process of its own, because the number of devices is fixed at TensorFlow's start.

Takes a step on two devices, plain and compiled by XLA, from the same weights, and prints the losses of both as JSON.
"""

import dataclasses
import json

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from methods.test_adversarial import CONFIG, images, make_step  # noqa: E402 (imports after the devices are made)

from msda_tf.training.workers import local_strategy  # noqa: E402

strategy = local_strategy()


def split(source):
    """One of two images for each replica."""
    return strategy.experimental_distribute_values_from_function(
        lambda context: {
            name: array if name == "mean" else array[context.replica_id_in_sync_group :][:1]
            for name, array in source.items()
        }
    )


batch = {"sources": [split(images(0, 33, 41))], "target": split(images(1, 41, 33, labelled=False))}
found = {}
for name, jit in (("plain", False), ("compiled", True)):
    with strategy.scope():
        step = make_step(dataclasses.replace(CONFIG, jit=jit), feeds=(("S1",),), strategy=strategy)
    found[name] = {loss: float(value) for loss, value in step(batch).items()}
    weights = [tf.reduce_sum(tf.abs(variable)) for variable in step.segmenter.generator_variables]
    found[name]["weights"] = float(tf.add_n(weights))
print("RESULT " + json.dumps(found))
