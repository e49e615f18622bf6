"""The classifiers' projection and shifts, against dilated convolutions."""

import numpy as np
import pytest
import tensorflow as tf
from convolution_oracles import atrous, shifted
from networks import relative_error
from seeded import seeded

from msda_tf.inference.networks import dtype_policy
from msda_tf.models.decoders.atrous import AtrousClassifier, classify, shift
from msda_tf.models.module import AdaptiveClassificationModule

RATES = (6, 12, 18, 24)


def classifier(name, classes=4, channels=3, rates=RATES):
    layer = AtrousClassifier(classes, rates=rates)
    layer.build((None, None, None, channels))
    layer.built = True
    for number in range(len(rates)):
        layer.kernels[number].assign(seeded(f"{name} kernel {number}", (3, 3, channels, classes)))
        layer.biases[number].assign(seeded(f"{name} bias {number}", (classes,)))
    return layer


def convolutions(x, layer):
    """The oracle: each rate's convolution as TensorFlow computes it, summed."""
    return tf.add_n([
        tf.nn.convolution(x, kernel.value, padding="SAME", dilations=rate) + bias.value
        for rate, kernel, bias in zip(layer.rates, layer.kernels, layer.biases, strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize("down", [0, 2, -3, 5, -5, 30])
@pytest.mark.parametrize("right", [0, 1, -1, -7, 24])
@pytest.mark.parametrize("static", [True, False])
def test_shift(down, right, static):
    x = seeded("x", (2, 5, 7, 3))
    signature = [tf.TensorSpec([2, 5, 7, 3] if static else [None, None, None, 3])]
    function = tf.function(lambda x: shift(x, down, right), input_signature=signature)
    np.testing.assert_array_equal(function(x), shifted(x, down, right))


@pytest.mark.parametrize("size", [(9, 17), (65, 33), (1, 1), (7, 40), (13, 6)])
@pytest.mark.parametrize("static", [True, False])
def test_value_and_gradients(size, static):
    layer, x = classifier("a"), tf.constant(seeded("x", (2, *size, 3)))
    upstream = seeded("upstream", (2, *size, 4))

    def gradients(function, x):
        sources = [*(v.value for v in layer.kernels + layer.biases), x]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        # A kernel whose every tap but the middle falls outside may be unused by one of the two ways: its gradient is 0.
        zero = tf.UnconnectedGradients.ZERO
        return y, *tape.gradient(y, sources, output_gradients=upstream, unconnected_gradients=zero)

    signature = [tf.TensorSpec(x.shape if static else [None, None, None, 3])]
    actual = tf.function(lambda x: gradients(layer, x), input_signature=signature)(x)
    expected = gradients(lambda x: convolutions(x, layer), x)
    assert relative_error(actual[0], sum(
        atrous(x.numpy(), k.numpy(), rate) + b.numpy()
        for rate, k, b in zip(RATES, layer.kernels, layer.biases, strict=True)
    )) < 1e-6  # fmt: skip
    for ours, theirs in zip(actual, expected, strict=True):
        assert relative_error(ours, theirs) < 1e-5


def test_several_classifiers_share_one_product():
    layers = [classifier("a"), classifier("b"), classifier("c")]
    x = tf.constant(seeded("x", (1, 11, 9, 3)))
    for ours, layer in zip(classify(x, layers), layers, strict=True):
        assert relative_error(ours, convolutions(x, layer)) < 1e-5
    products = [
        operation
        for operation in tf.function(lambda x: classify(x, layers)).get_concrete_function(x).graph.get_operations()
        if operation.type == "MatMul"
    ]
    assert len(products) == 1


@pytest.mark.parametrize(("policy", "dtype", "tolerance"), [
    ("mixed_float16", tf.float16, 5e-3), ("mixed_bfloat16", tf.bfloat16, 3e-2), ("float64", tf.float64, 1e-6),
])  # fmt: skip
def test_precisions(policy, dtype, tolerance):
    with dtype_policy(policy):
        layer = classifier("a")
    x = seeded("x", (1, 11, 9, 3))
    y = layer(tf.cast(x, dtype))
    assert y.dtype == dtype
    assert relative_error(tf.cast(y, tf.float64), convolutions(tf.constant(x), classifier("a"))) < tolerance


def test_module_gives_the_branches_asked_for():
    module = AdaptiveClassificationModule(
        "output", ("S1", "S2", "S-All"), num_classes=4, rates=RATES, discriminators="branch", discriminator_width=2
    )
    x = seeded("x", (1, 7, 9, 3))
    maps = [x[..., :1], x[..., :2], x[..., :2], x]  # level "output" reads the last one
    module.build((1, 2, 2, 3))
    all_maps = module(maps)
    assert list(all_maps) == ["S1", "S2", "S-All"]
    chosen = module(maps, branches=("S-All", "S1"))
    assert list(chosen) == ["S-All", "S1"]
    for name, map_ in chosen.items():
        np.testing.assert_allclose(map_, all_maps[name], rtol=1e-5, atol=1e-6)
        own = module.classifiers[module.branches.index(name)]
        np.testing.assert_allclose(map_, convolutions(tf.constant(x), own), rtol=1e-4, atol=1e-5)
