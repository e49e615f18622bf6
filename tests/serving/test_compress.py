"""Folded BatchNorm and 16-bit kernels against the networks as they were."""

import networks
import numpy as np
import pytest
import seeded
import tensorflow as tf

from msda_tf.errors import UsageError
from msda_tf.inference.members import Inference, Member
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.serving import compress
from msda_tf.serving.model import Served, ServedModel

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 65, 129, 3), dtype=np.uint8)


@pytest.fixture
def segmenter():
    """A small network of BatchNorms that are far from doing nothing."""
    small = networks.small_segmenter(branches=("S1", "S2"), rates=(2, 4))
    networks.set_weights(small, seeded.seeded_state(networks.torch_shapes(small)))
    return small


def served_model(segmenter, **options):
    member = Member(segmenter, {"S2": "S2"}, mean=(70.0, 80.0, 90.0))
    return ServedModel(Inference([member]), CITYSCAPES_CLASSES, Served(), **options)


@pytest.mark.parametrize("norm", ["frozen", "adaptsegnet"])
def test_folding_keeps_the_outputs(norm):
    segmenter = networks.small_segmenter(rates=(2,), norm=norm)
    networks.set_weights(segmenter, seeded.seeded_state(networks.torch_shapes(segmenter)))
    image = tf.constant(seeded.seeded_image("fold", 65, 129))
    before = segmenter(image)
    compress.fold_batch_norm(segmenter)
    after = segmenter(image)
    for level in ("feature", "output"):
        assert networks.relative_error(after[level]["S1"], before[level]["S1"]) < 1e-5
    # Every BatchNorm must have been met: none may normalise any more.
    norms = [norm for _, norm in segmenter.backbone.foldable()]
    assert len(norms) == _convolutions(segmenter) and all(norm.folded for norm in norms)


def test_folding_leaves_one_variable_of_four(segmenter):
    assert len(served_model(segmenter).root.weights) == 5 * _convolutions(segmenter) + 4
    compress.fold_batch_norm(segmenter)
    assert len(served_model(segmenter).root.weights) == 2 * _convolutions(segmenter) + 4


def test_group_norm_cannot_be_folded():
    with pytest.raises(UsageError, match="nothing to fold"):
        compress.fold_batch_norm(networks.small_segmenter(norm="group"))


def test_kernels_in_sixteen_bits(segmenter):
    full, half = served_model(segmenter), served_model(segmenter, store="bfloat16")
    assert len(half.root.weights) == len(full.root.weights)
    for variable in half.root.weights:
        assert variable.dtype == (tf.bfloat16 if len(variable.shape) > 1 else tf.float32)
    assert _bytes(half) < 0.55 * _bytes(full)
    labels = [model.signatures["serving_default"](images=tf.constant(IMAGE))["label_map"] for model in (full, half)]
    agreement = (labels[0] == labels[1]).numpy().mean()
    # Eight bits of mantissa do move some borders: else the copies would not be in use.
    assert 0.97 < agreement < 1
    assert len(np.unique(labels[0])) > 3
    # The networks themselves stay as they were.
    again = served_model(segmenter).signatures["serving_default"](images=tf.constant(IMAGE))["label_map"]
    np.testing.assert_array_equal(again, labels[0])


def _convolutions(segmenter):
    return sum(len(variable.shape) == 4 for variable in segmenter.backbone.variables)


def _bytes(model):
    return sum(int(np.prod(variable.shape)) * variable.dtype.size for variable in model.root.weights)
