"""FrozenBatchNorm, against NumPy and Torch."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from seeded import seeded

from msda_tf.inference.networks import dtype_policy
from msda_tf.models.layers.frozen_batch_norm import FrozenBatchNorm

CHANNELS = 5


def layer(**options):
    norm = FrozenBatchNorm(**options)
    norm.build((None, None, None, CHANNELS))
    norm.built = True
    norm.gamma.assign(seeded("gamma", (CHANNELS,)))
    norm.beta.assign(seeded("beta", (CHANNELS,)))
    norm.moving_mean.assign(seeded("mean", (CHANNELS,)))
    norm.moving_variance.assign(seeded("variance", (CHANNELS,), 0.001, 2))
    return norm


def images(number=0, size=(5, 7)):
    return seeded(f"images {number}", (2, *size, CHANNELS)) * 3 + 2


def normalized(x, mean, variance):
    gamma, beta = seeded("gamma", (CHANNELS,)), seeded("beta", (CHANNELS,))
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


@pytest.mark.parametrize("training", [False, True])
def test_frozen_uses_stored_statistics_always(training):
    norm, x = layer(), images()
    expected = normalized(x, seeded("mean", (CHANNELS,)), seeded("variance", (CHANNELS,), 0.001, 2))
    np.testing.assert_allclose(norm(x, training=training), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(norm.moving_mean, seeded("mean", (CHANNELS,)))
    assert norm.trainable_variables == []


def test_as_kerass_own_in_inference():
    theirs = keras.layers.BatchNormalization(epsilon=1e-5)
    theirs.build((None, None, None, CHANNELS))
    norm = layer()
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        getattr(theirs, name).assign(getattr(norm, name))
    np.testing.assert_allclose(norm(images()), theirs(images(), training=False), rtol=1e-4, atol=1e-4)


def test_updated_statistics_are_those_of_the_formula():
    norm = layer(update_statistics=True)
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    for number in range(3):
        x = images(number)
        batch_mean, batch_variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        np.testing.assert_allclose(
            norm(x, training=True), normalized(x, batch_mean, batch_variance), rtol=1e-4, atol=1e-4
        )
        count = x.size // CHANNELS
        mean = 0.9 * mean + 0.1 * batch_mean
        variance = 0.9 * variance + 0.1 * batch_variance * count / (count - 1)
        np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-5)
        np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-5)
    np.testing.assert_allclose(norm(x), normalized(x, mean, variance), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-5)


@pytest.mark.parametrize("size", [(5, 7), (2, 1)])
def test_updated_statistics_and_gradients_are_torchs(size):
    torch = pytest.importorskip("torch")
    norm = layer(update_statistics=True)
    theirs = torch.nn.BatchNorm2d(CHANNELS)
    pairs = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    theirs.load_state_dict(
        {name: torch.from_numpy(getattr(norm, own).numpy().copy()) for name, own in pairs.items()}, strict=False
    )
    for number in range(2):
        x, upstream = images(number, size), seeded(f"upstream {number}", (2, *size, CHANNELS))
        ours = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(ours)
            y = norm(ours, training=True)
        gradient = tape.gradient(y, ours, output_gradients=upstream)
        tensor = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_(True)
        output = theirs.train()(tensor)
        output.backward(torch.from_numpy(upstream.transpose(0, 3, 1, 2).copy()))
        np.testing.assert_allclose(y, output.detach().permute(0, 2, 3, 1), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(gradient, tensor.grad.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-4)
        for name, own in pairs.items():
            np.testing.assert_allclose(getattr(norm, own), getattr(theirs, name).detach(), rtol=1e-4, atol=1e-6)


def test_one_pixel_gives_no_nan():
    norm = layer(update_statistics=True)
    y = norm(images(size=(1, 1))[:1], training=True)
    np.testing.assert_allclose(y[0, 0, 0], seeded("beta", (CHANNELS,)), rtol=1e-4, atol=1e-4)
    assert np.isfinite(norm.moving_variance.numpy()).all()


def test_statistics_are_updated_inside_a_strategy():
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        norm = layer(update_statistics=True)
    x = images()
    step = tf.function(lambda: strategy.run(lambda: norm(x, training=True)))
    step()
    expected = 0.9 * seeded("mean", (CHANNELS,)) + 0.1 * x.mean((0, 1, 2))
    np.testing.assert_allclose(norm.moving_mean.numpy(), expected, rtol=1e-5)


_TWO_REPLICAS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from msda_tf.models.layers.frozen_batch_norm import FrozenBatchNorm
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
with strategy.scope():
    norm = FrozenBatchNorm(update_statistics=True)
    norm.build((None, None, None, 1))
images = strategy.experimental_distribute_values_from_function(
    lambda context: tf.fill([1, 2, 2, 1], 10.0 * (1 + context.replica_id_in_sync_group))
)
tf.function(lambda: strategy.run(lambda x: norm(x, training=True), args=(images,)))()
path = tf.train.Checkpoint(norm=norm).write("DIRECTORY/weights")
stored = tf.train.load_checkpoint(path).get_tensor("norm/moving_mean/.ATTRIBUTES/VARIABLE_VALUE")
print("statistics", float(norm.moving_mean.numpy()[0]), float(stored[0]))
"""


def test_replicas_keep_their_own_statistics_and_store_the_mean(tmp_path):
    """In a process of its own: TensorFlow fixes the number of devices when it first computes."""
    script = _TWO_REPLICAS.replace("DIRECTORY", str(tmp_path))
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # 0.9 * 0 + 0.1 * 10 on one replica, 0.1 * 20 on the other.
    _, statistics, stored = result.stdout.splitlines()[-1].split()
    assert float(statistics) == float(stored) == pytest.approx(1.5)


def test_half_precision_normalises_with_float32_statistics():
    with dtype_policy("mixed_float16"):
        norm = layer(update_statistics=True)
    # Squares of these do not fit float16.
    x = tf.cast(images() * 100, tf.float16)
    y = norm(x, training=True)
    assert (y.dtype, norm.moving_variance.dtype) == (tf.float16, "float32")
    wide = x.numpy().astype(np.float32)
    np.testing.assert_allclose(y, normalized(wide, wide.mean((0, 1, 2)), wide.var((0, 1, 2))), rtol=0.02, atol=0.02)
