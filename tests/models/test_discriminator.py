"""The discriminator, against NumPy and Torch."""

import numpy as np
import pytest
import tensorflow as tf
from networks import keras_layout, relative_error
from seeded import seeded

from msda_tf.inference.networks import dtype_policy
from msda_tf.models.discriminator import Discriminator

CLASSES = 5


def discriminator(width=4):
    layer = Discriminator(width)
    layer.build((None, None, None, CLASSES))
    layer.built = True
    for number, (kernel, bias) in enumerate(zip(layer.kernels, layer.biases, strict=True)):
        gain = (2 / np.prod(kernel.shape[:3])) ** 0.5
        kernel.assign(seeded(f"kernel {number}", tuple(kernel.shape)) * gain)
        bias.assign(seeded(f"bias {number}", tuple(bias.shape)) * 0.2)
    return layer


def probabilities(height, width, batch=1):
    return tf.nn.softmax(tf.constant(seeded("logits", (batch, height, width, CLASSES))))


def by_loops(x, layer):
    x = x.numpy().astype(np.float64)
    for number, (kernel, bias) in enumerate(zip(layer.kernels, layer.biases, strict=True)):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        height, width = ((n - 4) // 2 + 1 for n in padded.shape[1:3])
        x = np.stack([
            np.stack([
                np.einsum("bijc,ijco->bo", padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4], kernel.numpy())
                for j in range(width)
            ], 1) for i in range(height)
        ], 1) + bias.numpy()  # fmt: skip
        if number < 4:
            x = np.where(x > 0, x, 0.2 * x)
    return x


@pytest.mark.parametrize("size", [(65, 129), (64, 64), (33, 95)])
def test_against_loops(size):
    layer, x = discriminator(), probabilities(*size)
    y = layer(x)
    assert tuple(y.shape) == (1, size[0] // 32, size[1] // 32, 1)
    assert relative_error(y, by_loops(x, layer)) < 1e-5


@pytest.mark.parametrize("size", [(65, 129), (95, 64)])
def test_value_and_gradients_against_torch(size):
    torch = pytest.importorskip("torch")
    import torch_deeplab

    layer, x = discriminator(), probabilities(*size, batch=2)
    theirs = torch_deeplab.discriminator(CLASSES, 4)
    with torch.no_grad():
        for number, (kernel, bias) in enumerate(zip(layer.kernels, layer.biases, strict=True)):
            theirs[2 * number].weight.copy_(torch.from_numpy(kernel.numpy().transpose(3, 2, 0, 1).copy()))
            theirs[2 * number].bias.copy_(torch.from_numpy(bias.numpy().copy()))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    upstream = seeded("upstream", tuple(y.shape))
    gradients = tape.gradient(y, [x, *(v.value for v in layer.kernels + layer.biases)], output_gradients=upstream)
    tensor = torch.from_numpy(x.numpy().transpose(0, 3, 1, 2).copy()).requires_grad_(True)
    output = theirs(tensor)
    output.backward(torch.from_numpy(upstream.transpose(0, 3, 1, 2).copy()))
    assert relative_error(y, output.detach().permute(0, 2, 3, 1).numpy()) < 1e-5
    expected = [tensor.grad.permute(0, 2, 3, 1).numpy()]
    expected += [keras_layout(theirs[2 * number].weight.grad.numpy()) for number in range(5)]
    expected += [theirs[2 * number].bias.grad.numpy() for number in range(5)]
    for ours, wanted in zip(gradients, expected, strict=True):
        assert relative_error(ours, wanted) < 1e-5


def test_half_precision_answers_in_float32():
    with dtype_policy("mixed_float16"):
        layer = discriminator()
    x = probabilities(65, 129)
    y = layer(x)
    assert y.dtype == tf.float32
    assert relative_error(y, discriminator()(x)) < 1e-2


def test_starting_weights_are_uniform_within_the_inverse_root_of_the_fan_in():
    layer = Discriminator(64)
    layer.build((None, None, None, 19))
    channels = 19
    for kernel, bias in zip(layer.kernels, layer.biases, strict=True):
        limit = (16 * channels) ** -0.5
        assert np.abs(kernel.numpy()).max() <= limit and np.abs(bias.numpy()).max() <= limit
        assert abs(np.std(kernel.numpy()) * 3**0.5 / limit - 1) < 0.05
        channels = kernel.shape[-1]
    assert not np.array_equal(layer.kernels[0].numpy(), discriminator().kernels[0].numpy())
