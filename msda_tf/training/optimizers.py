"""Keras' Adam and SGD with Torch's coupled weight decay and a learning rate for each part of a network."""

import keras


def poly_decay(learning_rate: float, *, steps: int, power: float) -> keras.optimizers.schedules.LearningRateSchedule:
    """`learning_rate * (1 - step / steps) ** power`, 0 from `steps` on: DeepLab's schedule."""
    return keras.optimizers.schedules.PolynomialDecay(learning_rate, steps, end_learning_rate=0.0, power=power)


def make_optimizer(
    kind: str,
    learning_rate,
    *,
    variables: list[keras.Variable],
    weight_decay: float = 0.0,
    multipliers: dict[str, float] | None = None,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    momentum: float = 0.9,
) -> keras.optimizers.Optimizer:
    """An optimizer, built on its variables (call it inside the strategy's scope).

    Args:
      kind: "adam" or "sgd" (not Nesterov).
      learning_rate: a number or schedule.
      variables: what it trains.
      weight_decay: L2 added to the gradient, as Torch does (Keras' own is decoupled), of every variable with more than
        one dimension: kernels, not biases or normalisation.
      multipliers: factor of the learning rate by variable path; 1 where not given.
      beta_1, beta_2: of Adam.
      momentum: of SGD.
    """
    base = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[kind]
    factors = [(multipliers or {}).get(variable.path, 1.0) for variable in variables]
    decays = [weight_decay if len(variable.shape) > 1 else 0.0 for variable in variables]

    class Optimizer(base):
        # The hook that Keras calls once for each variable, with the summed gradient of all replicas, unscaled.
        def update_step(self, gradient, variable, learning_rate):
            index = self._get_variable_index(variable)
            if decays[index]:
                gradient = gradient + decays[index] * variable
            super().update_step(gradient, variable, learning_rate * factors[index])

    if kind == "adam":
        optimizer = Optimizer(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=1e-8, name=kind)
    else:
        optimizer = Optimizer(learning_rate, momentum=momentum, name=kind)
    optimizer.build(variables)
    return optimizer
