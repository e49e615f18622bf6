"""The whole network against the same network in Torch: logits of both levels and every gradient.

Where Torch is not installed, against the golden values that it once gave.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from exact_cases import CLASSES, SIZE, network_image, projections
from golden import array, unpack
from networks import SMALL, relative_error, set_weights, small_segmenter, torch_layout, torch_name
from networks import torch_shapes as shapes_of
from seeded import seeded, seeded_image, seeded_state

from msda_tf.inference.networks import dtype_policy
from msda_tf.models.backbones.atrous_resnet import DEPTHS
from msda_tf.models.segmenter import LEVELS

RESULTS = ("feature", "output", "image")


def run(segmenter, image) -> dict[str, np.ndarray]:
    """What `torch_reference.network` gives, from this project's network."""
    image = tf.cast(image, segmenter.compute_dtype)
    variables = segmenter.generator_variables
    with tf.GradientTape() as tape:
        tape.watch(image)
        logits = {level: maps["S1"] for level, maps in segmenter(image).items()}
        total = tf.add_n([tf.reduce_sum(maps * seeded(level, maps.shape)) for level, maps in logits.items()])
    gradient, *gradients = tape.gradient(total, [image, *(variable.value for variable in variables)])
    names = [torch_name(variable.path, segmenter.branches) for variable in variables]
    results = dict(zip(names, (torch_layout(g.numpy()) for g in gradients), strict=True))
    return {level: logits[level].numpy() for level in LEVELS} | {"image": gradient.numpy()} | results


def network(depth, policy="float32"):
    with dtype_policy(policy):
        return small_segmenter(backbone=depth, num_classes=CLASSES)


def check(actual, expected, tolerance):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert relative_error(actual[name], value) < tolerance, name


def check_golden(actual, name, tolerance):
    gradients = unpack(f"{name} gradients")
    assert actual.keys() == {*RESULTS, *gradients}
    for key in RESULTS:
        assert relative_error(actual[key], array(f"{name} {key}")) < tolerance, key
    for key, value in gradients.items():
        np.testing.assert_allclose(projections(key, actual[key]), value, atol=tolerance * value[0], err_msg=key)


def test_small_network_gives_the_golden_values():
    segmenter = network(SMALL)
    set_weights(segmenter, seeded_state(shapes_of(segmenter)))
    check_golden(run(segmenter, network_image()), "small", 1e-4)


@pytest.fixture(scope="module")
def resnet101():
    """(state, what the network in float64 gives)."""
    segmenter = network(DEPTHS["resnet101"], "float64")
    state = seeded_state(shapes_of(segmenter))
    set_weights(segmenter, state)
    return state, run(segmenter, network_image())


def test_resnet101_gives_the_golden_values(resnet101):
    check_golden(resnet101[1], "resnet101", 1e-6)


def test_resnet101_in_float32(resnet101):
    segmenter = network(DEPTHS["resnet101"])
    set_weights(segmenter, resnet101[0])
    logits = segmenter(network_image())
    for level in LEVELS:
        assert relative_error(logits[level]["S1"], array(f"resnet101 {level}")) < 1e-5


@pytest.mark.parametrize("size", [SIZE, (65, 129), (64, 128), (30, 67)])
def test_small_network_against_torch(size):
    torch = pytest.importorskip("torch")
    import torch_reference

    segmenter = network(SMALL)
    state = seeded_state(shapes_of(segmenter))
    set_weights(segmenter, state)
    image = network_image() if size == SIZE else seeded_image("another image", *size)
    expected = torch_reference.network(SMALL, state, image, classes=CLASSES, dtype=torch.float32)
    actual = run(segmenter, image)
    if size != SIZE:  # only that image's gradients are safe from rounding (see exact_cases)
        actual, expected = ({level: results[level] for level in LEVELS} for results in (actual, expected))
    check(actual, expected, 1e-4)


def test_resnet101_against_torch(resnet101):
    torch = pytest.importorskip("torch")
    import torch_reference

    state, actual = resnet101
    expected = torch_reference.network(
        DEPTHS["resnet101"], state, network_image(), classes=CLASSES, dtype=torch.float64
    )
    assert len(expected) == len(RESULTS) + 104 + 16
    check(actual, expected, 1e-11)


def test_the_comparison_sees_a_wrong_stride_position():
    """The same weights with the stride on the 3x3, as torchvision has it, give another network."""
    torch = pytest.importorskip("torch")
    import torch_deeplab

    state = seeded_state(shapes_of(network(SMALL)))
    own, other = (
        torch_deeplab.load_numpy(torch_deeplab.DeepLab(SMALL, classes=CLASSES, stride_on_3x3=moved), state)
        for moved in (False, True)
    )
    image = torch.from_numpy(network_image().transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        difference = relative_error(other(image)[1][0].numpy(), own(image)[1][0].numpy())
    assert difference > 0.01


def test_float64_reaches_every_layer():
    segmenter = network(SMALL, "float64")
    assert {keras.backend.standardize_dtype(variable.dtype) for variable in segmenter.variables} == {"float64"}
