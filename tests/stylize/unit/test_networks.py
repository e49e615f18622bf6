"""UNIT's networks, against NumPy, Torch, and the sizes that are published."""

import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded

from msda_tf.inference.networks import dtype_policy
from msda_tf.stylize.unit.autoencoder import UnitDecoder, UnitEncoder
from msda_tf.stylize.unit.discriminator import UnitDiscriminator, halved
from msda_tf.stylize.unit.layers import INSTANCE, SAMPLE, ChannelScale, ReflectConv, ResidualBlock, plain
from msda_tf.stylize.unit.networks import Unit


def fill(layer, name="layer"):
    """Seeded weights, all far from their defaults."""
    for number, variable in enumerate(layer.trainable_variables):
        shape = tuple(variable.shape)
        gain = (2 / np.prod(shape[:3])) ** 0.5 if len(shape) == 4 else 0.3
        variable.assign(seeded(f"{name} {number}", shape) * gain + (0.8 if "gamma" in variable.path else 0))
    return layer


def images(height, width, batch=2):
    return seeded("images", (batch, height, width, 3), -1, 1)


def conv_by_loops(x, kernel, bias, stride):
    pad = (kernel.shape[0] - 1) // 2
    x = np.pad(x.astype(np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)), "reflect")
    size = kernel.shape[0]
    height, width = ((n - size) // stride + 1 for n in x.shape[1:3])
    y = np.zeros((x.shape[0], height, width, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            patch = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            y[:, i, j] = np.einsum("bijc,ijco->bo", patch, kernel.astype(np.float64)) + bias
    return y


@pytest.mark.parametrize(("size", "stride"), [(7, 1), (4, 2), (3, 1), (5, 1), (1, 1)])
def test_convolution_against_loops(size, stride):
    layer = ReflectConv(5, size, stride=stride)
    layer.build((None, None, None, 3))
    fill(layer)
    x = images(8, 12)
    expected = conv_by_loops(x, layer.kernel.numpy(), layer.bias.numpy(), stride)
    assert relative_error(layer(x), expected) < 1e-6


def test_instance_norm_by_hand():
    x = seeded("x", (2, 5, 7, 3)) * 3 + 10
    y = INSTANCE(tf.constant(x)).numpy()
    for image in range(2):
        for channel in range(3):
            plane = x[image, :, :, channel].astype(np.float64)
            expected = (plane - plane.mean()) / np.sqrt(plane.var() + 1e-5)
            np.testing.assert_allclose(y[image, :, :, channel], expected, atol=1e-5)


def test_sample_norm_and_scale_by_hand():
    layer = ChannelScale()
    layer.build((None, None, None, 3))
    gamma = layer.gamma.numpy()
    assert gamma.min() >= 0 and gamma.max() <= 1 and not layer.beta.numpy().any()
    fill(layer)
    x = seeded("x", (2, 5, 7, 3)) * 3 + np.array([10, 0, -4], np.float32)
    wide = x.astype(np.float64)
    expected = np.stack([(image - image.mean()) / (image.std() + 1e-5) for image in wide])
    expected = expected * layer.gamma.numpy() + layer.beta.numpy()
    assert relative_error(layer(SAMPLE(tf.constant(x))), expected) < 1e-6


def test_sample_norm_of_one_value_has_finite_slopes():
    x = tf.ones([1, 4, 4, 3])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = SAMPLE(x)
    assert np.isfinite(y).all() and np.isfinite(tape.gradient(y, x)).all()


def test_moments_can_be_given():
    x = seeded("x", (1, 5, 7, 3))
    mean, variance = np.full((1, 1, 1, 3), 2.0, np.float32), np.full((1, 1, 1, 3), 9.0, np.float32)
    np.testing.assert_allclose(INSTANCE(tf.constant(x), (mean, variance)), (x - 2) / 3, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 12), (9, 13), (7, 6)])
def test_halving_takes_means_of_existing_pixels(size):
    x = images(*size)
    height, width = ((n + 1) // 2 for n in size)
    expected = np.zeros((2, height, width, 3))
    for i in range(height):
        for j in range(width):
            window = x[:, max(0, 2 * i - 1) : 2 * i + 2, max(0, 2 * j - 1) : 2 * j + 2]
            expected[:, i, j] = window.mean((1, 2))
    np.testing.assert_allclose(halved(tf.constant(x)), expected, atol=1e-6)


def test_residual_block_adds():
    block = ResidualBlock()
    block.build((None, None, None, 4))
    x = seeded("x", (1, 8, 8, 4))
    for conv in (block.first, block.second):
        conv.kernel.assign(np.zeros(conv.kernel.shape))
    stages = block.stages(plain)
    kept, y = stages[0](None, tf.constant(x))
    kept, y = stages[1](kept, stages[0].norm(y))
    np.testing.assert_array_equal(kept + stages[1].norm(y), x)


def count(layer):
    return sum(int(np.prod(variable.shape)) for variable in layer.trainable_variables)


def test_parameter_counts_and_map_sizes_of_the_published_networks():
    unit = Unit()
    unit.create_variables()
    block = 2 * (9 * 256 * 256 + 256)
    encoder = (49 * 3 * 64 + 64) + (16 * 64 * 128 + 128) + (16 * 128 * 256 + 256) + 4 * block
    decoder = 4 * block + (25 * 256 * 128 + 128) + 2 * 128 + (25 * 128 * 64 + 64) + 2 * 64 + (49 * 64 * 3 + 3)
    one_scale = (48 * 64 + 64) + (16 * 64 * 128 + 128) + (16 * 128 * 256 + 256) + (16 * 256 * 512 + 512) + 513
    assert (encoder, decoder, 3 * one_scale) == (5_385_856, 5_754_627, 8_271_171)
    for domain in "ab":
        assert count(getattr(unit, f"encoder_{domain}")) == encoder
        assert count(getattr(unit, f"decoder_{domain}")) == decoder
        assert count(getattr(unit, f"discriminator_{domain}")) == 3 * one_scale
    parts = unit.generator_variables + unit.discriminator_variables
    assert {id(v) for v in parts} == {id(v) for v in unit.trainable_variables} and len(parts) == len(
        set(map(id, parts))
    )

    @tf.function
    def maps(x):
        codes = unit.encode("a", x)
        return codes, unit.decode("b", codes), unit.discriminate("b", x)

    shapes = maps.get_concrete_function(tf.TensorSpec([1, 512, 512, 3])).structured_outputs
    codes, decoded, answers = shapes
    assert tuple(codes.shape) == (1, 128, 128, 256)
    assert tuple(decoded.shape) == (1, 512, 512, 3)
    assert [tuple(answer.shape) for answer in answers] == [(1, 32, 32, 1), (1, 16, 16, 1), (1, 8, 8, 1)]


def test_starting_weights():
    encoder, discriminator = UnitEncoder(16, 1), UnitDiscriminator(16)
    encoder.build((None, None, None, 3))
    discriminator.build((None, None, None, 3))
    for layer, stddev in (
        (encoder.quarter, (2 / (16 * 32)) ** 0.5),
        (encoder.block_0.first, (2 / (9 * 64)) ** 0.5),
        (discriminator.scale_1_conv_3, 0.02),
    ):
        assert abs(layer.kernel.numpy().std() / stddev - 1) < 0.05
        assert not layer.bias.numpy().any()


def gradients(layer, x):
    """Output, and gradients for x and all weights of the output times seeded directions."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        total = tf.add_n([tf.reduce_sum(y * seeded(f"up {i}", tuple(y.shape))) for i, y in enumerate(outputs)])
    return outputs, tape.gradient(total, [x, *(v.value for v in layer.trainable_variables)])


@pytest.mark.parametrize("part", ["encoder", "decoder", "discriminator"])
def test_value_and_gradients_against_torch(part):
    torch = pytest.importorskip("torch")
    import torch_unit

    ours, theirs, x = {
        "encoder": lambda: (UnitEncoder(4, 2), torch_unit.Encoder(4, 2), images(16, 24)),
        "decoder": lambda: (UnitDecoder(4, 2), torch_unit.Decoder(4, 2), seeded("codes", (2, 5, 6, 16))),
        "discriminator": lambda: (UnitDiscriminator(4), torch_unit.Discriminator(4), images(64, 96)),
    }[part]()
    ours.build((None, None, None, x.shape[-1]))
    fill(ours)
    torch_unit.load(theirs, ours, dtype=torch.float64)
    outputs, (for_x, *for_weights) = gradients(ours, x)
    tensor = torch_unit.nchw(x).double().requires_grad_(True)
    expected = theirs(tensor)
    expected = expected if isinstance(expected, list) else [expected]
    sum(
        (y * torch_unit.nchw(seeded(f"up {i}", tuple(torch_unit.nhwc(y).shape)))).sum() for i, y in enumerate(expected)
    ).backward()
    for got, wanted in zip(outputs, expected, strict=True):
        assert relative_error(got, torch_unit.nhwc(wanted)) < 1e-5
    assert relative_error(for_x, torch_unit.nhwc(tensor.grad)) < 1e-4
    by_id = {id(v): g for v, g in zip(ours.trainable_variables, for_weights, strict=True)}
    for name, parameter in theirs.named_parameters():
        got = by_id[id(torch_unit.variable(ours, name))].numpy()
        wanted = parameter.grad.numpy()
        wanted = wanted.transpose(2, 3, 1, 0) if wanted.ndim == 4 else wanted
        if name.endswith("bias") and (part == "encoder" or "block" in name):
            # Instance norm takes the bias away: its gradient is rounding alone.
            assert np.abs(got).max() < 1e-3 and np.abs(wanted).max() < 1e-9, name
        else:
            assert relative_error(got, wanted) < 1e-4, name


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_answers_in_float32(policy):
    def networks():
        unit = Unit(channels=4, blocks=1, discriminator_channels=4)
        unit.create_variables()
        return fill(unit)

    with dtype_policy(policy):
        mixed = networks()
    full, x = networks(), images(64, 64, batch=1)
    for name, value, expected in (
        ("codes", mixed.encode("a", x), full.encode("a", x)),
        ("image", mixed.decode("b", full.encode("a", x)), full.decode("b", full.encode("a", x))),
        ("answers", mixed.discriminate("a", x)[0], full.discriminate("a", x)[0]),
    ):
        assert value.dtype == tf.float32, name
        assert 1e-7 < relative_error(value, expected) < (0.02 if policy == "mixed_float16" else 0.15), name
