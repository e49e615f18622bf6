"""The decoders over four maps, against Torch's layers put together as published."""

import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded

from msda_tf.models import decoders
from msda_tf.models.segmenter import MultiSourceSegmenter

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

CHANNELS = (8, 12, 16, 24)
SHAPES = ((17, 33), (9, 17), (5, 9), (3, 5))


def maps():
    return [
        seeded(f"map{n}", (2, *shape, count)) for n, (shape, count) in enumerate(zip(SHAPES, CHANNELS, strict=True))
    ]


def decoder(name):
    made = decoders.make(name, level="output", branches=("S1", "S2"), num_classes=5, rates=(2,))
    made.build(CHANNELS)
    for layer in (made.trunk, *made.classifiers.values()):
        for number, variable in enumerate(layer.variables):
            size = 1 / np.sqrt(np.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 0.3
            variable.assign(variable + size * seeded(f"{name}{number}", variable.shape))
    return made


def nchw(x):
    return torch.from_numpy(np.ascontiguousarray(np.asarray(x).transpose(0, 3, 1, 2)))


def linear(layer, x):
    """A Keras dense layer, or 1x1 convolution, in Torch."""
    kernel = torch.from_numpy(layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1]).T.copy())
    bias = None if layer.bias is None else torch.from_numpy(layer.bias.numpy())
    return functional.conv2d(x, kernel[:, :, None, None], bias)


def unit(unit_, x):
    """Convolution, GroupNorm, ReLU."""
    layer = unit_.convolution
    kernel = layer.kernel.numpy()
    if "depthwise" in type(layer).__name__.lower():
        rate = layer.dilation_rate[0]
        kernel = torch.from_numpy(kernel.transpose(2, 3, 0, 1).copy())
        y = functional.conv2d(x, kernel, padding=rate, dilation=rate, groups=x.shape[1])
    else:
        y = functional.conv2d(x, torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()), padding=kernel.shape[0] // 2)
    return torch.relu(group_norm(unit_.norm, y))


def group_norm(norm, x):
    gamma, beta = torch.from_numpy(norm.gamma.numpy()), torch.from_numpy(norm.beta.numpy())
    return functional.group_norm(x, x.shape[1] // 8, gamma, beta, norm.epsilon)


def embedded(trunk):
    """Every map through its own linear layer, at the first one's size."""
    found = [linear(layer, nchw(x)) for layer, x in zip(trunk.embed, maps(), strict=True)]
    return [functional.interpolate(x, SHAPES[0], mode="bilinear", align_corners=False) for x in found]


def check(made, features):
    logits = made(maps(), ("S2", "S1"), False)
    assert list(logits) == ["S2", "S1"]
    for name, found in logits.items():
        expected = linear(made.classifiers[name], features)
        assert relative_error(found, expected.numpy().transpose(0, 2, 3, 1)) < 1e-4


def test_segformers():
    """Published: the maps side by side, then one linear layer; here it is applied map by map."""
    made = decoder("mlp")
    kernel = np.concatenate([layer.kernel.numpy() for layer in made.trunk.fuse])
    fused = functional.conv2d(
        torch.cat(embedded(made.trunk), dim=1), torch.from_numpy(kernel.T.copy())[:, :, None, None]
    )
    check(made, torch.relu(group_norm(made.trunk.norm, fused)))


def test_daformers():
    made = decoder("daformer")
    beside = torch.cat(embedded(made.trunk), dim=1)
    far = [unit(each.pointwise, unit(each.depthwise, beside)) for each in made.trunk.far]
    check(made, unit(made.trunk.bottleneck, torch.cat([unit(made.trunk.near, beside), *far], dim=1)))


def test_two_transposed_convolutions():
    made = decoder("transposed")
    trunk, x = made.trunk, nchw(maps()[-1])

    def normalized(norm, y):
        gamma, beta = torch.from_numpy(norm.gamma.numpy()), torch.from_numpy(norm.beta.numpy())
        return functional.layer_norm(y.permute(0, 2, 3, 1), y.shape[1:2], gamma, beta, 1e-6).permute(0, 3, 1, 2)

    def kernel(layer):
        return torch.from_numpy(layer.kernel.numpy().transpose(3, 2, 0, 1).copy())

    x = functional.gelu(normalized(trunk.norms[0], functional.conv_transpose2d(x, kernel(trunk.up_1), stride=2)))
    x = normalized(trunk.norms[1], functional.conv_transpose2d(x, kernel(trunk.up_2), stride=2))
    check(made, normalized(trunk.norms[2], functional.conv2d(x, kernel(trunk.conv), padding=1)))


@pytest.mark.parametrize("name", ["mlp", "daformer", "transposed"])
def test_in_a_network(name, tmp_path):
    """Both levels, a checkpoint that holds everything, and a graph of open size."""

    def network():
        made = MultiSourceSegmenter(
            branches=("S1", "S-All"), num_classes=5, backbone="tiny", norm="group", decoder=name, rates=(2,),
            discriminator_width=2,
        )  # fmt: skip
        made.create_variables()
        return made

    saved, restored = network(), network()
    path = tf.train.Checkpoint(network=saved).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(network=restored).read(path).assert_consumed()
    for one, other in zip(saved.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    images = seeded("images", (1, 33, 65, 3)) * 50
    graph = tf.function(restored, input_signature=[tf.TensorSpec([None, None, None, 3])])
    eager, found = saved(images), graph(images)
    for level in ("feature", "output"):
        for branch in ("S1", "S-All"):
            assert relative_error(found[level][branch], eager[level][branch]) < 1e-4
    trained = {id(v) for v in (*saved.generator_variables, *saved.discriminator_variables)}
    assert trained == {id(variable) for variable in saved.trainable_variables}
