"""Optimizers and schedules against loops in NumPy, and Torch's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from seeded import seeded

from msda_tf.methods.domain_pass import clipped
from msda_tf.training.optimizers import WARM_UP_RATIO, make_optimizer, poly_decay

SHAPES = {"kernel": (3, 2), "bias": (2,)}
RATE, DECAY, HEAD, STEPS = 0.1, 0.05, 3.0, 5


def start():
    return {name: seeded(name, shape) for name, shape in SHAPES.items()}


def gradients(step):
    return {name: seeded(f"{name} gradient {step}", shape) for name, shape in SHAPES.items()}


def adam(values, *, decoupled):
    """Loshchilov and Hutter's algorithm 2: decay of kernels alone, the bias with a learning rate of its own."""
    values = {name: value.astype(np.float64) for name, value in values.items()}
    first, second = (dict.fromkeys(values, 0.0) for _ in range(2))
    for step in range(STEPS):
        for name, gradient in gradients(step).items():
            rate, decay = RATE * (HEAD if name == "bias" else 1), DECAY if name == "kernel" else 0
            if decoupled:
                values[name] = values[name] * (1 - rate * decay)
            else:
                gradient = gradient + decay * values[name]
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            mean, square = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.999 ** (step + 1))
            values[name] = values[name] - rate * mean / (np.sqrt(square) + 1e-8)
    return values


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_adam_and_adamw(kind):
    variables = {name: keras.Variable(value, name=name) for name, value in start().items()}
    optimizer = make_optimizer(
        kind, RATE, variables=list(variables.values()), weight_decay=DECAY, multipliers={"bias": HEAD}
    )
    for step in range(STEPS):
        optimizer.apply([tf.constant(value) for value in gradients(step).values()], list(variables.values()))
    for name, expected in adam(start(), decoupled=kind == "adamw").items():
        np.testing.assert_allclose(variables[name], expected, rtol=1e-4, atol=1e-5)


def test_adamw_is_torchs():
    torch = pytest.importorskip("torch")
    parameters = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in start().items()}
    theirs = torch.optim.AdamW(
        [
            {"params": [parameters["kernel"]], "weight_decay": DECAY},
            {"params": [parameters["bias"]], "weight_decay": 0.0, "lr": RATE * HEAD},
        ],
        lr=RATE,
    )
    for step in range(STEPS):
        for name, gradient in gradients(step).items():
            parameters[name].grad = torch.from_numpy(gradient)
        theirs.step()
    for name, expected in adam(start(), decoupled=True).items():
        np.testing.assert_allclose(parameters[name].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_warm_up_rises_in_a_line_and_meets_the_decay():
    plain, warm = (poly_decay(0.5, steps=100, power=0.9, warm_up=steps) for steps in (0, 10))
    for step in (0, 1, 5, 9):
        ratio = WARM_UP_RATIO + (1 - WARM_UP_RATIO) * step / 10
        expected = 0.5 * (1 - step / 100) ** 0.9 * ratio
        assert float(warm(tf.constant(step))) == pytest.approx(expected, rel=1e-5)
    for step in (10, 50, 100):
        assert float(warm(tf.constant(step))) == float(plain(tf.constant(step)))


def test_clipping_by_the_norm_over_all_variables():
    found = [tf.constant([3.0, 0.0]), None, tf.constant([[4.0]])]
    sgd = keras.optimizers.SGD()
    assert clipped(found, sgd, None) is found
    for limit, factor in ((10.0, 1.0), (5.0, 1.0), (2.5, 0.5)):
        first, missing, last = clipped(found, sgd, limit)
        np.testing.assert_allclose(first, [3.0 * factor, 0.0], rtol=1e-6)
        np.testing.assert_allclose(last, [[4.0 * factor]], rtol=1e-6)
        assert missing is None


def test_clipping_knows_the_loss_scale():
    variable = keras.Variable(np.zeros(2, np.float32))
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    scaled.build([variable])
    scale = float(scaled.scale_loss(tf.constant(1.0)))
    (gradient,) = clipped([tf.constant([3.0, 4.0]) * scale], scaled, 2.5)
    np.testing.assert_allclose(gradient / scale, [1.5, 2.0], rtol=1e-6)
