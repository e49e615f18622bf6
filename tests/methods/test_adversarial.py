"""The adversarial step against an independent, undivided formulation of equations 1 to 5.

`reference` takes all domains through the network under one tape and writes the objective down as the paper does; the
step divides the work by domain. Discriminator and generator gradients must agree, and stay apart.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import resnet
from stepped import Stepped

from msda_tf.config import TrainConfig
from msda_tf.labels import IGNORE
from msda_tf.methods import METHODS
from msda_tf.methods.adversarial import Adversarial
from msda_tf.methods.supervised import Supervised
from msda_tf.models.backbones.atrous_resnet import Depth
from msda_tf.models.segmenter import LEVELS, MultiSourceSegmenter
from msda_tf.training.optimizers import make_optimizer

DEPTH = Depth(blocks=(1, 1, 1, 1), planes=(2, 3, 4, 5), stem=4, expansion=2, pool=False)
CLASSES = 5
# Adversarial weights of the order of the others, or their gradients would hide behind the cross-entropy's.
CONFIG = dataclasses.replace(TrainConfig(), adv_weight_feature=0.3, adv_weight_output=0.7, generator_lr=1e-2)


@pytest.fixture(autouse=True)
def eager():
    """Tracing a step costs ten times more than running it once."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make_step(
    config=CONFIG, *, feeds=(("S1",), ("S2",)), generator_lr=1e-2, discriminator_lr=1e-2, norm="group", strategy=None
):
    branches = tuple(sorted({branch for feed in feeds for branch in feed}))
    keras.utils.set_random_seed(3)
    segmenter = MultiSourceSegmenter(
        branches=branches,
        num_classes=CLASSES,
        backbone=resnet(DEPTH),
        norm=norm,
        rates=(1, 2),
        discriminators=config.discriminators if METHODS[config.method].discriminators else "none",
        discriminator_width=4,
    )
    segmenter.create_variables()
    for variable in segmenter.generator_variables:
        if len(variable.shape) > 1:  # the classifiers start so flat that their softmax would carry no gradient
            variable.assign(variable * 5)
    strategy = strategy or tf.distribute.get_strategy()
    options = {"segmenter": segmenter, "config": config, "feeds": feeds, "strategy": strategy}
    options["generator_optimizer"] = make_optimizer("adam", generator_lr, variables=segmenter.generator_variables)
    if config.method == "supervised":
        return Stepped(Supervised(**options), strategy)
    critic = make_optimizer("adam", discriminator_lr, variables=segmenter.discriminator_variables)
    return Stepped(Adversarial(**options, discriminator_optimizer=critic), strategy)


def images(seed, height, width, *, labelled=True, size=2):
    rng = np.random.default_rng(seed)
    result = {
        "image": tf.constant(rng.integers(0, 256, (size, height, width, 3)), tf.uint8),
        "mean": tf.constant(rng.uniform(80, 120, 3), tf.float32),
    }
    if labelled:
        label = rng.integers(0, CLASSES, (size, height, width)).astype(np.uint8)
        label[:, : 3 + seed] = IGNORE
        result["label"] = tf.constant(label)
    return result


def make_batch(*seeds):
    sizes = [(65, 97), (71, 64), (33, 50)]
    return {
        "sources": [images(seed, *size) for seed, size in zip(seeds, sizes, strict=False)],
        "target": images(90, 66, 80, labelled=False),
    }


def resize(maps, size):
    """Bilinear, corners aligned."""
    return tf.compat.v1.image.resize_bilinear(maps, size, align_corners=True)


def reference(step, batch):
    """(generator gradients, discriminator gradients, losses) from the paper's equations, all domains at once."""
    config, segmenter = step.config, step.segmenter
    seg_weight = {"feature": config.seg_weight_feature, "output": config.seg_weight_output}
    adv_weight = {"feature": config.adv_weight_feature, "output": config.adv_weight_output}

    def judged(answers, domain):
        if config.gan == "lsgan":
            return tf.reduce_mean((answers - domain) ** 2)
        probability = tf.clip_by_value(tf.sigmoid(answers), 1e-7, 1 - 1e-7)
        return -tf.reduce_mean(domain * tf.math.log(probability) + (1 - domain) * tf.math.log(1 - probability))

    losses = {}
    with tf.GradientTape(persistent=True) as tape:
        target = segmenter(tf.cast(batch["target"]["image"], tf.float32) - batch["target"]["mean"], training=True)
        sources = [
            segmenter(tf.cast(source["image"], tf.float32) - source["mean"], training=True)
            for source in batch["sources"]
        ]
        network, critic = 0.0, 0.0
        for level in LEVELS:
            for branch in segmenter.branches:
                fed = [number for number, feed in enumerate(step.feeds) if branch in feed]
                entropies, valid, source_maps = [], 0, []
                for number in fed:
                    label = batch["sources"][number]["label"]
                    logits = resize(sources[number][level][branch], label.shape[1:])
                    mask = label != IGNORE
                    wanted = tf.one_hot(tf.boolean_mask(label, mask), CLASSES)
                    chances = tf.nn.softmax(tf.boolean_mask(logits, mask))
                    entropies.append(-tf.reduce_sum(wanted * tf.math.log(chances + 1e-12)))
                    valid += np.sum(mask)
                    source_maps.append(tf.nn.softmax(logits))
                seg = tf.add_n(entropies) / max(valid, 1)
                losses[f"seg/{level}/{branch}"] = seg
                network += seg_weight[level] * seg
                if config.method == "supervised":
                    continue
                target_map = tf.nn.softmax(resize(target[level][branch], batch["target"]["image"].shape[1:3]))
                discriminator = segmenter.module(level).discriminator(branch)
                adversarial = judged(discriminator(target_map), 1.0)
                losses[f"adv/{level}/{branch}"] = adversarial
                network += adv_weight[level] * adversarial
                on_source = [judged(discriminator(tf.stop_gradient(maps)), 1.0) for maps in source_maps]
                on_target = judged(discriminator(tf.stop_gradient(target_map)), 0.0)
                losses[f"disc/{level}/{branch}"] = (tf.add_n(on_source) / len(on_source) + on_target) / 2
                critic += losses[f"disc/{level}/{branch}"]
    generator = tape.gradient(network, [v.value for v in segmenter.generator_variables])
    if config.method == "supervised":
        return generator, [], losses
    return generator, tape.gradient(critic, [v.value for v in segmenter.discriminator_variables]), losses


def assert_same(actual, expected, tolerance=1e-4):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            scale = np.abs(other).max() + 1e-8
            np.testing.assert_allclose(one, other, atol=tolerance * scale, rtol=0)


JOINT = (("S1", "S-All"), ("S2", "S-All"))


@pytest.mark.parametrize(
    ("changes", "feeds"),
    [
        ({}, (("S1",), ("S2",))),
        ({}, (("S-All",),)),
        ({}, JOINT),
        ({"gan": "lsgan"}, (("S1",), ("S2",))),
        ({"discriminators": "level"}, (("S1",), ("S2",))),
        ({"accumulate": 2}, (("S1",), ("S2",))),
        ({"accumulate": 2}, JOINT),
        ({"method": "supervised"}, (("S1",), ("S2",))),
        ({}, (("S1",), ("S2",), ("S3",))),
    ],
    ids=str,
)
def test_losses_and_gradients_are_the_papers(changes, feeds):
    step = make_step(dataclasses.replace(CONFIG, **changes), feeds=feeds)
    batch = make_batch(*range(len(feeds)))
    generator, discriminator, metrics = step.gradients(batch)
    wanted_generator, wanted_discriminator, losses = reference(step, batch)
    for name, value in losses.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
    assert_same(generator, wanted_generator)
    assert_same(discriminator, wanted_discriminator)


def test_generator_and_discriminators_are_disjoint_and_complete():
    segmenter = make_step().segmenter
    generator = {v.path for v in segmenter.generator_variables}
    discriminator = {v.path for v in segmenter.discriminator_variables}
    assert not generator & discriminator
    assert generator | discriminator == {v.path for v in segmenter.trainable_variables}


def values(variables):
    return [variable.numpy().copy() for variable in variables]


def changed(before, variables):
    return [not np.array_equal(old, new.numpy()) for old, new in zip(before, variables, strict=True)]


def test_each_optimizer_moves_its_own_side_only():
    for generator_lr, discriminator_lr in ((1e-2, 0.0), (0.0, 1e-2)):
        step = make_step(generator_lr=generator_lr, discriminator_lr=discriminator_lr)
        generator = values(step.segmenter.generator_variables)
        discriminator = values(step.segmenter.discriminator_variables)
        step(make_batch(0, 1))
        assert all(c == (generator_lr > 0) for c in changed(generator, step.segmenter.generator_variables))
        assert all(c == (discriminator_lr > 0) for c in changed(discriminator, step.segmenter.discriminator_variables))


def momentums(optimizer):
    found = [variable.numpy() for variable in optimizer.variables if variable.path.endswith("momentum")]
    assert found
    return found


def test_all_gradients_are_taken_at_the_weights_before_the_step():
    """With huge learning rates, any gradient taken after the other side's update would differ beyond recognition."""
    batch = make_batch(0, 1)
    both = make_step(generator_lr=1.0, discriminator_lr=1.0)
    both(batch)
    generator_alone = make_step(generator_lr=1.0, discriminator_lr=0.0)
    generator_alone(batch)
    discriminator_alone = make_step(generator_lr=0.0, discriminator_lr=1.0)
    discriminator_alone(batch)
    # The first step of Adam is a sign: compare the slots, which hold the gradients.
    for together, alone in (
        (both.generator_optimizer, generator_alone.generator_optimizer),
        (both.discriminator_optimizer, discriminator_alone.discriminator_optimizer),
    ):
        assert_same(momentums(together), momentums(alone), 1e-5)


def test_target_images_never_touch_the_segmentation_loss():
    without_adversary = dataclasses.replace(CONFIG, adv_weight_feature=0.0, adv_weight_output=0.0)
    step = make_step(without_adversary)
    batch, other = make_batch(0, 1), make_batch(0, 1)
    other["target"] = images(7, 66, 80, labelled=False)
    generator, _, metrics = step.gradients(batch)
    generator_other, _, metrics_other = step.gradients(other)
    assert_same(generator, generator_other, 1e-6)
    for name, value in metrics.items():
        if name.startswith("seg/"):
            assert float(value) == float(metrics_other[name])
        elif name.startswith("adv/"):
            assert float(value) != float(metrics_other[name])


def test_a_source_never_trains_another_sources_branch():
    step = make_step()
    batch, other = make_batch(0, 1), make_batch(5, 1)  # another first source
    gradients = dict(zip([v.path for v in step.segmenter.generator_variables], step.gradients(batch)[0], strict=True))
    changed = dict(zip([v.path for v in step.segmenter.generator_variables], step.gradients(other)[0], strict=True))
    for path, gradient in gradients.items():
        same = np.allclose(gradient, changed[path], rtol=1e-5, atol=1e-9)
        assert same == ("/S2/" in path), path


def test_images_without_any_label_give_no_loss_and_no_nan():
    step = make_step()
    batch = make_batch(0, 1)
    batch["sources"][0]["label"] = tf.fill(batch["sources"][0]["label"].shape, tf.constant(IGNORE, tf.uint8))
    generator, discriminator, metrics = step.gradients(batch)
    assert float(metrics["seg/output/S1"]) == 0.0
    assert float(metrics["seg/output/S2"]) > 0.0
    assert all(np.isfinite(g).all() for g in [*generator, *discriminator])


def test_no_adapt_is_plain_supervised_training():
    """Three steps without adversarial terms against a loop of cross-entropy and Keras' own Adam."""
    step = make_step(dataclasses.replace(CONFIG, method="supervised"), feeds=(("S-All",),))
    assert not step.segmenter.discriminator_variables
    plain = make_step(dataclasses.replace(CONFIG, method="supervised"), feeds=(("S-All",),))
    optimizer = keras.optimizers.Adam(1e-2, epsilon=1e-8)
    for number in range(3):
        batch = make_batch(number)
        step(batch)
        gradients, _, _ = reference(plain, batch)
        optimizer.apply(gradients, plain.segmenter.generator_variables)
    for ours, theirs in zip(step.segmenter.generator_variables, plain.segmenter.generator_variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4, err_msg=ours.path)
