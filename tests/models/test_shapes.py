"""Sizes of maps and of weights, against published figures; nothing is computed for the big images."""

import numpy as np
import pytest
import tensorflow as tf
from networks import SMALL, small_segmenter

from msda_tf.models.backbones.atrous_resnet import DEPTHS, AtrousResNet, Depth
from msda_tf.models.discriminator import Discriminator
from msda_tf.models.segmenter import LEVELS, MultiSourceSegmenter

# Image width and height -> map width and height at stride 8, as AdaptSegNet's network gives them in Torch.
MAPS = {
    (1024, 512): (129, 65),
    (1280, 720): (161, 91),
    (2048, 1024): (257, 129),
    (1914, 1052): (240, 132),
    (1280, 760): (161, 96),
}


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.fixture(scope="module")
def resnet101():
    segmenter = MultiSourceSegmenter(branches=("S-All",), backbone="resnet101")
    segmenter.create_variables()
    return segmenter


def test_parameter_counts(resnet101):
    affine = [v for v in resnet101.backbone.variables if v.path.endswith(("gamma", "beta"))]
    statistics = [v for v in resnet101.backbone.variables if v.path.endswith(("moving_mean", "moving_variance"))]
    assert len(affine) == len(statistics) == 2 * 104
    # ResNet-101 without its classifier has 42 500 160 parameters (torchvision: 44 549 160 with it).
    assert count(resnet101.backbone.trainable_variables) + count(affine) == 42_500_160
    heads = 4 * (9 * (1024 + 2048) * 19 + 2 * 19)
    assert count(resnet101.head_variables) == heads
    assert f"{(42_500_160 + heads) / 1e6:.2f}" == "44.60"
    assert count(resnet101.discriminator_variables) == 2 * 2_781_121
    assert not set(map(id, affine + statistics)) & set(map(id, resnet101.generator_variables))


def test_generator_and_discriminator_variables_are_all_trainable_variables_once():
    segmenter = small_segmenter(branches=("S1", "S2", "S3"), discriminators="branch")
    together = segmenter.generator_variables + segmenter.discriminator_variables
    assert len({variable.path for variable in together}) == len(together)
    assert {id(variable) for variable in together} == {id(variable) for variable in segmenter.trainable_variables}


@pytest.mark.parametrize("image", MAPS)
def test_map_sizes_of_real_images(resnet101, image):
    width, height = image

    @tf.function
    def network(images):
        maps = resnet101.backbone(images)
        logits = [resnet101.module(level)(maps)["S-All"] for level in LEVELS]
        return maps, logits, resnet101.output_module.discriminator("S-All")(tf.zeros([1, height, width, 19]))

    graph = network.get_concrete_function(tf.TensorSpec([1, height, width, 3]))
    maps, logits, patches = graph.structured_outputs
    for map_ in logits:
        assert tuple(map_.shape) == (1, *reversed(MAPS[image]), 19)
    assert [map_.shape[-1] for map_ in maps] == [256, 512, 1024, 2048]
    assert tuple(patches.shape) == (1, height // 32, width // 32, 1)


def test_any_batch_and_size_in_one_graph():
    segmenter = small_segmenter()
    network = tf.function(segmenter, input_signature=[tf.TensorSpec([None, None, None, 3])])
    for batch, height, width in ((1, 65, 129), (2, 33, 64)):
        images = tf.random.stateless_normal([batch, height, width, 3], seed=(1, 2)) * 50
        logits, eager = network(images), segmenter(images)
        for level in LEVELS:
            np.testing.assert_allclose(logits[level]["S1"], eager[level]["S1"], rtol=1e-4, atol=1e-5)


def test_tiny_has_output_stride_4():
    *_, stage3, stage4 = AtrousResNet(DEPTHS["tiny"])(np.zeros([1, 65, 129, 3], np.float32))
    depth = DEPTHS["tiny"]
    assert tuple(stage3.shape) == (1, 17, 33, depth.planes[2] * depth.expansion)
    assert tuple(stage4.shape) == (1, 17, 33, depth.planes[3] * depth.expansion)


@pytest.mark.parametrize("size", [(64, 128), (65, 129), (66, 67), (1, 2), (3, 4)])
def test_pooling_is_ceil_mode(size):
    """A backbone without blocks is the stem and the pooling: its oracle is a loop over windows that may overhang."""
    backbone = AtrousResNet(Depth(blocks=(0, 0, 0, 0), stem=3))
    images = np.random.RandomState(0).standard_normal((1, *size, 3)).astype(np.float32)
    backbone(images)
    kernel = np.zeros((7, 7, 3, 3), np.float32)
    kernel[3, 3] = np.eye(3)
    backbone.conv1.kernel.assign(kernel)
    backbone.bn1.moving_variance.assign(np.full(3, 1 - 1e-5, np.float32))
    stem = np.maximum(images[:, ::2, ::2], 0)
    height, width = (-(-(n - 1) // 2) + 1 for n in stem.shape[1:3])
    expected = np.zeros((1, height, width, 3), np.float32)
    for i in range(height):
        for j in range(width):
            window = stem[:, max(0, 2 * i - 1) : 2 * i + 2, max(0, 2 * j - 1) : 2 * j + 2]
            expected[:, i, j] = window.max(axis=(1, 2)) if window.size else np.nan
    *_, pooled = backbone(images)
    # Torch drops a last window that would start in the padding on the right.
    expected = expected[:, ~np.isnan(expected).any(axis=(0, 2, 3))][:, :, ~np.isnan(expected).any(axis=(0, 1, 3))]
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)


@pytest.mark.parametrize("norm", ["frozen", "adaptsegnet", "group"])
def test_a_checkpoint_holds_every_variable(norm, tmp_path):
    options = {"branches": ("S1", "S-All"), "discriminators": "branch", "discriminator_width": 4, "norm": norm}
    saved, restored = small_segmenter(**options), small_segmenter(**options)
    for number, variable in enumerate(saved.variables):
        variable.assign(tf.fill(variable.shape, float(number + 2)))
    path = tf.train.Checkpoint(segmenter=saved).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(segmenter=restored).read(path).assert_consumed()
    for number, variable in enumerate(restored.variables):
        assert np.all(variable.numpy() == number + 2), variable.path


def test_group_norm_trains_everything():
    segmenter = small_segmenter(norm="group")
    assert {id(v) for v in segmenter.trainable_variables} == {id(v) for v in segmenter.variables}


def test_a_shared_discriminator_judges_every_branch():
    module = small_segmenter(branches=("S1", "S2"), discriminators="level", discriminator_width=4).output_module
    assert module.discriminator("S1") is module.discriminator("S2")
    module = small_segmenter(branches=("S1", "S2"), discriminators="branch", discriminator_width=4).output_module
    assert module.discriminator("S1") is not module.discriminator("S2")
    module = small_segmenter(branches=("S1",), discriminators="branch", discriminator_width=4).output_module
    assert isinstance(module.discriminator("S1"), Discriminator)


def test_small_has_no_two_stages_alike():
    assert len(set(SMALL.planes)) == 4
