"""Precision, recomputation, accumulation and XLA, in any combination, give the plain float32 step."""

import collections
import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import resnet
from seeded import seeded_labels
from stepped import Stepped

from msda_tf.config import TrainConfig
from msda_tf.inference.networks import dtype_policy
from msda_tf.methods.adversarial import Adversarial
from msda_tf.models.backbones.atrous_resnet import Depth
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.training.optimizers import make_optimizer

DEPTH = Depth(blocks=(1, 1, 1, 1), planes=(2, 3, 4, 5), stem=4, expansion=2, pool=False)
CLASSES, SIZE, BATCH = 5, (65, 129), 2
FEEDS = (("S1", "S-All"),)
# Of every loss; of all generator gradients; of all discriminator gradients, whose two halves (source and target)
# cancel each other in part, so that the rounding of bfloat16's 8 and float16's 11 bits shows more. CPUs without
# instructions for bfloat16 also add up in it.
TOLERANCE = {"float32": (1e-5, 1e-4, 1e-4), "mixed_bfloat16": (6e-3, 0.2, 0.4), "mixed_float16": (5e-4, 0.08, 0.08)}
COMBINATIONS = list(itertools.product(TOLERANCE, (False, True), (1, 2)))


def make_step(policy, *, feeds=FEEDS, **changes):
    config = TrainConfig(adv_weight_feature=0.3, adv_weight_output=0.7, precision=policy, batch_size=BATCH, **changes)
    keras.utils.set_random_seed(3)
    with dtype_policy(policy):
        segmenter = MultiSourceSegmenter(
            branches=tuple(dict.fromkeys(branch for feed in feeds for branch in feed)),
            num_classes=CLASSES,
            backbone=resnet(DEPTH),
            norm="group",
            rates=(1, 4),
            discriminator_width=4,
            recompute=config.recompute,
        )
        segmenter.create_variables()
    for variable in segmenter.head_variables:
        # As they start, all maps are flat, and the halves of a discriminator's gradient cancel but for rounding; so
        # they do where the domains are alike: hence a dark source and a bright target.
        variable.assign(variable * 20)
    optimizers = []
    for variables in (segmenter.generator_variables, segmenter.discriminator_variables):
        # Not Adam: its first step is the gradient's sign, in which no rounding is too small to show.
        optimizer = make_optimizer("sgd", 1e-3, variables=variables)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(variables)
        optimizers.append(optimizer)
    method = Adversarial(
        segmenter=segmenter, config=config, feeds=feeds, generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1], strategy=tf.distribute.get_strategy(),
    )  # fmt: skip
    return Stepped(method)


def make_batch(feeds=FEEDS, size=SIZE):
    rng = np.random.default_rng(5)

    def images(low, high):
        pixels = rng.integers(low, high, (BATCH, *size, 3))
        return {"image": tf.constant(pixels, tf.uint8), "mean": tf.constant([120.0, 110.0, 100.0])}

    sources = [
        images(0, 100) | {"label": tf.constant(seeded_labels(f"label {number}", *size, CLASSES, BATCH))}
        for number in range(len(feeds))
    ]
    return {"sources": sources, "target": images(150, 256)}


def gradients(step):
    """(losses, all generator gradients, all discriminator gradients), freed of the loss scale."""
    generator, discriminator, metrics = step.gradients(make_batch())
    scales = [float(o.scale_loss(tf.constant(1.0))) for o in (step.generator_optimizer, step.discriminator_optimizer)]
    flat = [
        np.concatenate([np.ravel(gradient) for gradient in part]) / scale
        for part, scale in zip((generator, discriminator), scales, strict=True)
    ]
    return {name: float(value) for name, value in metrics.items() if "accuracy" not in name}, *flat


@functools.cache
def plain():
    return gradients(make_step("float32"))


@pytest.fixture
def eager():
    """Tracing a step costs ten times more than running it once."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(("policy", "recompute", "accumulate"), COMBINATIONS[1:])
def test_losses_and_gradients_are_those_of_the_plain_step(eager, policy, recompute, accumulate):
    losses, *parts = gradients(make_step(policy, recompute=recompute, accumulate=accumulate))
    expected, *wanted = plain()
    of_losses, *of_parts = TOLERANCE[policy]
    assert losses == pytest.approx(expected, rel=of_losses)
    for part, side, tolerance in zip(parts, wanted, of_parts, strict=True):
        assert part.dtype == np.float32 and np.isfinite(part).all()
        assert np.linalg.norm(part - side) < tolerance * np.linalg.norm(side)


def operations(step, batch):
    """Number of operations in the graph of a step, by kind."""
    graph = tf.function(step.gradients).get_concrete_function(batch).graph
    return collections.Counter(operation.type for operation in graph.get_operations())


@pytest.mark.parametrize("same", [True, False])
def test_domains_of_one_size_pass_together(same):
    """The same losses and gradients as apart, by fewer convolutions; domains of other sizes pass by themselves."""
    feeds = (("S1", "S-All"), ("S2", "S-All"))
    batch = make_batch(feeds, (33, 65))
    if not same:
        batch["target"]["image"] = batch["target"]["image"][:, :, :49]
    apart, together = (make_step("float32", feeds=feeds, passes=passes) for passes in ("apart", "together"))
    found, expected = together.gradients(batch), apart.gradients(batch)
    assert {k: float(v) for k, v in found[2].items()} == pytest.approx(
        {k: float(v) for k, v in expected[2].items()}, rel=1e-5
    )
    for ours, theirs in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
    domains = 1 if same else 2
    fewer = operations(apart, batch)["Conv2D"] - operations(together, batch)["Conv2D"]
    kernels = sum(v.path.endswith("kernel") for v in apart.segmenter.backbone.trainable_variables)
    assert fewer == (3 - domains) * kernels


def test_compiled_and_recomputed():
    """XLA and recomputation together, over a whole step with its updates."""
    feeds, size = (("S-All",),), (33, 65)
    batch = make_batch(feeds, size)
    fast = make_step("float32", feeds=feeds, jit=True, recompute=True)
    step = make_step("float32", feeds=feeds)
    before = [variable.numpy() for variable in step.segmenter.trainable_variables]
    metrics, expected = fast(batch), step.eagerly(batch)
    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=1e-4
    )
    for ours, theirs, old in zip(
        fast.segmenter.trainable_variables, step.segmenter.trainable_variables, before, strict=True
    ):
        change = theirs.numpy() - old
        np.testing.assert_allclose(ours.numpy() - old, change, atol=1e-3 * np.abs(change).max() + 1e-8)
