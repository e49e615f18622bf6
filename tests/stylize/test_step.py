"""A whole step against Torch: the discriminators first, the autoencoders against the new discriminators."""

import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded
from stylize_runs import networks

from msda_tf.data.order import stream_key
from msda_tf.stylize.config import StylizeConfig
from msda_tf.stylize.step import UnitStep

CONFIG = StylizeConfig(
    seed=3,
    batch_size=2,
    gan_weight=1.5,
    within_weight=3.0,
    cycle_weight=2.0,
    code_noise=0.6,
    kl_weight=0.5,
    kl_cycle_weight=0.7,
    perceptual_weight=0.9,
)
STEP = 11


class PlainDescent:
    """Stands in for an optimizer: keeps the gradients, and takes a step of their size times a rate."""

    def __init__(self, rate=0.1):
        self.rate = rate

    def scale_loss(self, loss):
        return loss

    def apply(self, gradients, variables):
        if not hasattr(self, "gradients"):
            self.gradients = [tf.Variable(gradient) for gradient in gradients]
        for kept, gradient, variable in zip(self.gradients, gradients, variables, strict=True):
            kept.assign(gradient)
            variable.assign_sub(self.rate * gradient)


def batch(step=STEP):
    pictures = {d: (seeded(f"picture {d}", (2, 64, 64, 3), 0, 255)).astype(np.uint8) for d in "ab"}
    return {**{d: tf.constant(p) for d, p in pictures.items()}, "step": tf.constant(step, tf.int64)}


def features(images):
    """Stands in for VGG16: any fixed function will do."""
    return tf.nn.avg_pool2d(images, 8, 8, "VALID") ** 2


def step_of(unit, config=CONFIG, **options):
    optimizers = {"generator_optimizer": PlainDescent(), "discriminator_optimizer": PlainDescent()}
    return UnitStep(
        unit=unit, config=config, strategy=tf.distribute.get_strategy(), **{"features": None, **optimizers, **options}
    )


def noise(stream, shape):
    """As documented: a function of the seed, the stream and the image's number alone."""
    key = stream_key(CONFIG.seed, f"noise/{stream}")
    draws = [tf.random.stateless_normal(shape, [key, STEP * 2 + i], alg="philox").numpy() for i in range(2)]
    return CONFIG.code_noise * np.stack(draws)


def test_losses_and_gradients_against_torch():
    torch = pytest.importorskip("torch")
    import torch_unit

    unit = networks()
    theirs = torch_unit.load(torch_unit.Unit(4, 1, 4), unit, dtype=torch.float64)
    step = step_of(unit, features=features)
    metrics = {name: float(value) for name, value in step(batch()).items()}

    a, b = (torch_unit.nchw(batch()[d]).double() / 127.5 - 1 for d in "ab")
    draws = {s: torch_unit.nchw(noise(s, (16, 16, 16))).double() for s in ("a", "b", "a again", "b again")}
    disc = torch_unit.discriminator_terms(theirs, a, b, draws)
    for name, value in disc.items():
        assert metrics[name] == pytest.approx(value.item(), rel=1e-4), name
    (CONFIG.gan_weight * sum(disc.values())).backward()
    judges = {name: p for name, p in theirs.named_parameters() if name.startswith("discriminator")}
    compare(step.discriminator_optimizer, unit.discriminator_variables, unit, judges, torch_unit)
    with torch.no_grad():
        for parameter in judges.values():
            parameter -= 0.1 * parameter.grad
    theirs.zero_grad()
    terms = torch_unit.generator_terms(
        theirs, a, b, draws, features=lambda x: torch.nn.functional.avg_pool2d(x, 8) ** 2
    )
    for name, value in terms.items():
        assert metrics[name] == pytest.approx(value.item(), rel=1e-4), name
    weights = {"adv": "gan_weight", **{k: f"{k}_weight" for k in ("within", "cycle", "kl", "kl_cycle", "perceptual")}}
    sum(getattr(CONFIG, weights[name[:-2]]) * value for name, value in terms.items()).backward()
    makers = {name: p for name, p in theirs.named_parameters() if not name.startswith("discriminator")}
    compare(step.generator_optimizer, unit.generator_variables, unit, makers, torch_unit)


def compare(optimizer, variables, unit, parameters, torch_unit):
    got = {id(v): g.numpy() for v, g in zip(variables, optimizer.gradients, strict=True)}
    assert len(got) == len(parameters)
    for name, parameter in parameters.items():
        wanted = parameter.grad.numpy()
        wanted = wanted.transpose(2, 3, 1, 0) if wanted.ndim == 4 else wanted
        if np.abs(wanted).max() > 1e-9:  # else: a bias that instance norm takes away
            assert relative_error(got[id(torch_unit.variable(unit, name))], wanted) < 1e-3, name


def test_without_a_perceptual_term_it_is_not_computed():
    metrics = step_of(networks())(batch())
    assert not any(name.startswith("perceptual") for name in metrics)
    assert {f"{kind}/{d}" for kind in ("disc", "adv", "within", "cycle", "kl", "kl_cycle") for d in "ab"} <= set(
        metrics
    )


def test_noise_follows_the_step_alone():
    still = {"generator_optimizer": PlainDescent(rate=0), "discriminator_optimizer": PlainDescent(rate=0)}
    step = step_of(networks(), **still)
    first, other, again = (float(step(batch(number))["cycle/a"]) for number in (11, 12, 11))
    assert first == again != other
