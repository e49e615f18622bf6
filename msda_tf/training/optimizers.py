"""Keras' Adam and SGD with Torch's weight decay, coupled or not, and a learning rate for each part of a network."""

import keras
import tensorflow as tf

WARM_UP_RATIO = 1e-6
"""Where a warm-up begins, as a part of the rate that the schedule has then: MMSegmentation's."""


def poly_decay(
    learning_rate: float, *, steps: int, power: float, warm_up: int = 0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """`learning_rate * (1 - step / steps) ** power`, 0 from `steps` on: DeepLab's schedule.

    During the first `warm_up` steps it is multiplied by a factor that rises in a straight line from `WARM_UP_RATIO` to
    1, as MMSegmentation's `warmup='linear'`.
    """
    decay = keras.optimizers.schedules.PolynomialDecay(learning_rate, steps, end_learning_rate=0.0, power=power)
    return _WarmUp(decay, warm_up) if warm_up else decay


class _WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, schedule, steps: int):
        self._schedule, self._steps = schedule, steps

    def __call__(self, step):
        done = tf.minimum(tf.cast(step, tf.float32) / self._steps, 1.0)
        return self._schedule(step) * (WARM_UP_RATIO + (1 - WARM_UP_RATIO) * done)


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
      kind: "adam", "adamw" or "sgd" (not Nesterov).
      learning_rate: a number or schedule.
      variables: what it trains.
      weight_decay: of every variable with more than one dimension: kernels, not biases or normalisation. For "adam" and
        "sgd" an L2 term added to the gradient, as Torch does (Keras' own is decoupled). For "adamw" the variable
        shrinks before the step by this part of the learning rate (I. Loshchilov, F. Hutter, ICLR 2019).
      multipliers: factor of the learning rate by variable path; 1 where not given.
      beta_1, beta_2: of Adam.
      momentum: of SGD.
    """
    factors = [(multipliers or {}).get(variable.path, 1.0) for variable in variables]
    decays = [weight_decay if len(variable.shape) > 1 else 0.0 for variable in variables]
    if kind in ("adam", "adamw"):
        make = _AdamW if kind == "adamw" else _Adam
        optimizer = make(factors, decays, learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=1e-8, name="adam")
    else:
        optimizer = _SGD(factors, decays, learning_rate, momentum=momentum, name="sgd")
    optimizer.build(variables)
    return optimizer


def with_loss_scale(precision: str, optimizer, variables: list[keras.Variable]):
    """The optimizer, for "mixed_float16" with dynamic loss scaling, without which small gradients vanish."""
    if precision != "mixed_float16":
        return optimizer
    scaled = keras.optimizers.LossScaleOptimizer(optimizer)
    scaled.build(variables)
    return scaled


class _Parts:
    """Learning-rate factors and weight decay by variable, for an optimizer's `update_step`.

    Keras calls that hook once for each variable, with the gradient summed over replicas and freed of the loss scale.
    What it computes of variables alone, as decay and momentum, waits for that gradient: else TensorFlow does so at the
    start of a step, and holds the results of all variables to its end.
    """

    def __init__(self, factors, decays, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._factors, self._decays = factors, decays

    decoupled = False

    def _adjusted(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        if self._factors[index] != 1.0:
            learning_rate = learning_rate * self._factors[index]
        if self._decays[index] and self.decoupled:
            variable.assign(variable * (1 - learning_rate * self._decays[index]))
        elif self._decays[index]:
            gradient = gradient + self._decays[index] * variable
        return index, gradient, learning_rate


class _SGD(_Parts, keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        with tf.control_dependencies([gradient]):
            _, gradient, learning_rate = self._adjusted(gradient, variable, learning_rate)
            super().update_step(gradient, variable, learning_rate)


class _Adam(_Parts, keras.optimizers.Adam):
    """Keras' Adam through TensorFlow's fused kernel: one pass over each variable instead of a dozen."""

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # The powers are the same for all variables: computed once, they travel with the learning rate.
        step = tf.cast(self.iterations.value + 1, tf.float32)
        powers = (tf.pow(tf.cast(self.beta_1, tf.float32), step), tf.pow(tf.cast(self.beta_2, tf.float32), step))
        super()._backend_update_step(grads, trainable_variables, (learning_rate, *powers))

    def update_step(self, gradient, variable, learning_rate):
        learning_rate, beta_1_power, beta_2_power = learning_rate
        with tf.control_dependencies([gradient]):
            index, gradient, learning_rate = self._adjusted(gradient, variable, learning_rate)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
            use_locking=True,
        )


class _AdamW(_Adam):
    decoupled = True
