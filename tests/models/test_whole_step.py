"""One whole step against Torch: every loss, every generator and discriminator gradient, at the same weights.

Where Torch is not installed, against the golden values that it once gave.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from exact_cases import STEP_DEPTH, STEPS, projections, step_batch, step_segmenter
from golden import unpack
from networks import relative_error, set_weights, torch_layout, torch_name

from msda_tf.inference.networks import dtype_policy
from msda_tf.methods.adversarial import Adversarial


def run(case, policy="float32"):
    """(losses, gradients by Torch name, statistics by Torch name) of `Adversarial.gradients`."""
    with dtype_policy(policy):
        segmenter, state = step_segmenter(case)
    set_weights(segmenter, state)
    step = Adversarial(
        segmenter=segmenter,
        config=case.config,
        feeds=case.feeds,
        generator_optimizer=keras.optimizers.SGD(),
        discriminator_optimizer=keras.optimizers.SGD(),
        strategy=tf.distribute.get_strategy(),
    )
    batch = tf.nest.map_structure(tf.constant, step_batch(case))
    generator, discriminator, losses = step.gradients(batch)
    gradients = {}
    for gradient, variable in zip(
        [*generator, *discriminator], segmenter.generator_variables + segmenter.discriminator_variables, strict=True
    ):
        if gradient is not None:
            gradients[torch_name(variable.path, case.branches)] = torch_layout(gradient.numpy())
    statistics = {
        torch_name(variable.path, case.branches): variable.numpy()
        for variable in segmenter.backbone.non_trainable_variables
        if "moving" in variable.path
    }
    losses = {name: float(loss) for name, loss in losses.items() if name.startswith(("seg/", "adv/", "disc/"))}
    return losses, gradients, statistics


def without_norms(gradients):
    """Torch has gradients of gamma and beta too, which this project never trains."""
    return {n: g for n, g in gradients.items() if not (".bn" in n or n.startswith("bn") or "downsample.1" in n)}


@pytest.mark.parametrize("name", STEPS)
def test_gives_the_golden_values(name):
    losses, gradients, statistics = run(STEPS[name], "float64")
    golden = unpack(f"{name} losses")
    assert losses.keys() == golden.keys()
    for key, value in golden.items():
        assert losses[key] == pytest.approx(float(value), rel=1e-5), key
    golden = without_norms(unpack(f"{name} gradients"))
    assert gradients.keys() == golden.keys()
    for key, value in golden.items():
        np.testing.assert_allclose(projections(key, gradients[key]), value, atol=1e-5 * value[0], err_msg=key)
    for key, value in unpack(f"{name} statistics").items():
        assert relative_error(statistics[key], value) < 1e-6


@pytest.mark.parametrize("name", STEPS)
def test_against_torch(name):
    torch = pytest.importorskip("torch")
    import torch_reference

    case = STEPS[name]
    _, state = step_segmenter(case)
    # In float32 Torch's own rounding pushes pixels over a LeakyReLU's bend: 3e-3 of a discriminator's gradient.
    expected = torch_reference.step(case, STEP_DEPTH, state, step_batch(case), torch.float64)
    losses, gradients, statistics = run(case)
    assert losses == pytest.approx(expected[0], rel=1e-4)
    wanted = without_norms(expected[1])
    assert gradients.keys() == wanted.keys()
    for key, value in wanted.items():
        assert relative_error(gradients[key], value) < 1e-4, key
    for key, value in expected[2].items():
        assert relative_error(statistics[key], value) < 1e-4, key
    changed = any(not np.array_equal(value, state[key]) for key, value in statistics.items())
    assert changed == (case.config.norm == "adaptsegnet")
