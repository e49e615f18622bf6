"""Run by test_replicas.py in a process of its own, because the number of devices is fixed at TensorFlow's start.

Usage: python unit_replicas_process.py DEVICES DATA: trains two steps of UNIT and prints losses and weights as JSON.
"""

import json
import sys

import tensorflow as tf

devices = int(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

import stylize_runs  # noqa: E402 (imports after the devices are made)

from msda_tf.data.corrupt import CorruptRecords  # noqa: E402
from msda_tf.stylize.task import UnitTask  # noqa: E402
from msda_tf.stylize.train import load_manifests  # noqa: E402
from msda_tf.training.workers import local_strategy  # noqa: E402

config = stylize_runs.config(sys.argv[2], batch_size=2)
strategy = local_strategy()
assert strategy.num_replicas_in_sync == devices
corrupt = CorruptRecords(limit=0)
task = UnitTask(config=config, manifests=load_manifests(config), strategy=strategy, corrupt=corrupt, vgg_weights=None)
losses = []
for batch, _ in zip(task.batches(3), range(2), strict=False):
    metrics = task.train_step(batch)
    losses.append({name: float(value) for name, value in metrics.items() if not name.startswith("gradient_norm")})
# Not biases: instance norm takes most of them away, and Adam makes large steps of their gradients' rounding.
kernels = [variable for variable in task.unit.trainable_variables if len(variable.shape) > 1]
weights = [float(tf.reduce_sum(tf.abs(variable))) for variable in kernels]
print("RESULT " + json.dumps({"losses": losses, "weights": weights}))
