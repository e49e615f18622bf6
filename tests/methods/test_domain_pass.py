"""What a step can compute before it has seen an image: TensorFlow does so at its start, and holds it until its use."""

import numpy as np
import pytest
import tensorflow as tf
from networks import resnet

from msda_tf.config import TrainConfig
from msda_tf.methods.adversarial import Adversarial
from msda_tf.models.backbones.atrous_resnet import Depth
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.training.optimizers import make_optimizer
from msda_tf.training.replicas import step_on_all

DEPTH = Depth(blocks=(1, 1, 1, 1), planes=(8, 12, 16, 20), stem=8)


def images(labelled=True):
    found = {"image": tf.TensorSpec([1, 33, 49, 3], tf.uint8), "mean": tf.TensorSpec([3])}
    return found | ({"label": tf.TensorSpec([1, 33, 49], tf.uint8)} if labelled else {})


def step_graph(*, sources=1, optimizer="adam", weight_decay=0.0, **changes) -> tf.Graph:
    feeds, config = (("S-All",),) * sources, TrainConfig(**changes)
    segmenter = MultiSourceSegmenter(
        branches=("S-All",), num_classes=5, backbone=resnet(DEPTH), norm="frozen", rates=(1, 2),
        discriminator_width=4, recompute=config.recompute,
    )  # fmt: skip
    segmenter.create_variables()
    parts = (segmenter.generator_variables, segmenter.discriminator_variables)
    optimizers = [make_optimizer(optimizer, 1e-3, variables=part, weight_decay=weight_decay) for part in parts]
    strategy = tf.distribute.get_strategy()
    method = Adversarial(
        segmenter=segmenter, config=config, feeds=feeds, generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1], strategy=strategy,
    )  # fmt: skip
    batch = {"sources": [images() for _ in feeds], "target": images(labelled=False)}
    return step_on_all(method.step, strategy).get_concrete_function(batch).graph


def made_at_the_start(graph: tf.Graph) -> int:
    """Elements of what some operation reads and what waits for no image, neither as an input nor by order."""
    waits, elements = {}, 0
    for operation in graph.get_operations():
        before = [tensor.op for tensor in operation.inputs] + operation.control_inputs
        is_image = operation.type == "Placeholder" and operation.outputs[0].dtype != tf.resource
        waits[operation.name] = is_image or any(waits[each.name] for each in before)
        if not waits[operation.name] and operation.type not in ("Const", "Placeholder", "ReadVariableOp"):
            elements += sum(np.prod(tensor.shape, dtype=int) for tensor in operation.outputs if tensor.consumers())
    return elements


@pytest.fixture(scope="module")
def of_one_source():
    return made_at_the_start(step_graph())


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": 3},
        {"recompute": True},
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "weight_decay": 5e-4},
        {"optimizer": "adam", "weight_decay": 5e-4},
        {"optimizer": "adamw", "weight_decay": 5e-4},
    ],
    ids=str,
)
def test_kernels_are_scaled_and_decayed_only_when_it_is_their_turn(changes, of_one_source):
    """Each domain, recomputation, momentum and weight decay had a copy of all kernels before the first image."""
    assert made_at_the_start(step_graph(**changes)) < 1.02 * of_one_source
