"""Run by test_replicas.py in a process of its own, because the number of devices is fixed at TensorFlow's start.

Usage: python replicas_process.py DEVICES: trains three steps and prints losses and weights as JSON.
"""

import json
import sys

import tensorflow as tf

devices = int(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

from methods.test_adversarial import images, make_step  # noqa: E402 (imports after the devices are made)
from two_images import spread  # noqa: E402

from msda_tf.methods.domain_pass import clipped  # noqa: E402
from msda_tf.training.workers import local_strategy  # noqa: E402

strategy = local_strategy()
assert strategy.num_replicas_in_sync == devices
with strategy.scope():
    step = make_step(norm="group", strategy=strategy)


def uneven(source):
    label = source["label"].numpy()
    label[0, 10:] = 255
    return {**source, "label": tf.constant(label)}


losses = []
for number in range(3):
    sources = [uneven(images(number, 65, 97)), images(number + 10, 71, 64)]
    target = images(number + 20, 66, 80, labelled=False)
    metrics = step(spread(sources, target, strategy))
    losses.append({name: float(value) for name, value in metrics.items() if not name.startswith("gradient_norm")})
LIMIT = 0.01


def clipped_norm(batch):
    """Of the gradients that one more step would apply. Without a graph: it is computed once."""

    def part(batch):
        found, _, _ = step.method.gradients(batch)
        return [gradient for gradient in clipped(found, step.generator_optimizer, LIMIT) if gradient is not None]

    parts = strategy.run(part, args=(batch,))
    return tf.linalg.global_norm([strategy.reduce("SUM", gradient, axis=None) for gradient in parts])


last = spread(sources, target, strategy)
norm = float(clipped_norm(last)) / LIMIT
weights = [float(tf.reduce_sum(tf.abs(variable))) for variable in step.segmenter.trainable_variables]
print("RESULT " + json.dumps({"losses": losses, "weights": weights, "clipped": norm}))
