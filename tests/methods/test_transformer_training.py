"""Frozen backbones, and learning rates that fall from block to block."""

import numpy as np
import pytest
import tensorflow as tf
from seeded import seeded_image
from small_backbones import DINO, MIT

from msda_tf import config as configuration
from msda_tf.errors import UsageError
from msda_tf.methods.optimizers import generator_optimizer
from msda_tf.models.backbones.dinov2 import DinoV2
from msda_tf.models.backbones.mit import MiT
from msda_tf.models.segmenter import MultiSourceSegmenter

BACKBONES = {
    "dinov2-s": (lambda norm, recompute: DinoV2(DINO, recompute=recompute), 5),
    "mit-b0": (lambda norm, recompute: MiT(MIT, recompute=recompute), 5),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_a_step_of_sgd_moves_each_block_by_its_own_rate(name):
    """With a gradient of ones everywhere, a plain SGD step is the learning rate itself."""
    make, count = BACKBONES[name]
    settings = {"target": "cityscapes", "backbone": name, "optimizer": "sgd", "generator_lr": 0.5, "layer_decay": 0.8}
    settings |= {"weight_decay": 0, "head_lr_mult": 10, "momentum": 0}
    config, _ = configuration.resolve(settings=settings)
    network = MultiSourceSegmenter(branches=("S1",), num_classes=3, rates=(2,), discriminators="none", backbone=make)
    network.create_variables()
    variables, before = network.generator_variables, [variable.numpy() for variable in network.generator_variables]
    optimizer = generator_optimizer(config, network)
    optimizer.apply([tf.ones(variable.shape) for variable in variables], variables)
    moved = {v.path: float(np.mean(old - v.numpy())) for v, old in zip(variables, before, strict=True)}
    groups = network.backbone.groups()
    assert len(groups) == count
    assert sorted(v.path for group in groups for v in group) == sorted(v.path for v in network.backbone.variables)
    for number, group in enumerate(groups):
        for variable in group:
            assert moved[variable.path] == pytest.approx(0.5 * 0.8 ** (count - number), rel=1e-3)
    for variable in network.head_variables:
        assert moved[variable.path] == pytest.approx(5.0, rel=1e-3)


def test_a_frozen_backbone_has_no_generator_variables_and_gets_no_gradient():
    make, _ = BACKBONES["dinov2-s"]
    network = MultiSourceSegmenter(
        branches=("S1",), num_classes=3, rates=(2,), discriminators="none", decoder="transposed", backbone=make
    )
    network.create_variables()
    network.backbone.trainable = False
    assert [v.path for v in network.generator_variables] == [v.path for v in network.head_variables]
    with tf.GradientTape() as tape:
        logits = network(seeded_image("frozen", 28, 42), training=True)
        loss = tf.add_n([tf.reduce_sum(logits[level]["S1"] ** 2) for level in logits])
    gradients = tape.gradient(loss, [variable.value for variable in network.generator_variables])
    assert all(gradient is not None for gradient in gradients)


def test_layer_decay_is_refused_for_backbones_without_blocks_in_a_row():
    with pytest.raises(UsageError, match="layer_decay has no effect here: it is read with backbone="):
        configuration.resolve(settings={"target": "cityscapes", "layer_decay": 0.9})
