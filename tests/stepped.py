"""A method whose steps are run as training runs them."""

import tensorflow as tf

from msda_tf.training.replicas import step_on_all


class Stepped:
    """Calling it takes a step on a batch; everything else is the method's own.

    Args:
      method: see `msda_tf.methods.contract.Method`.
      strategy: the devices it was made for.
    """

    def __init__(self, method, strategy: tf.distribute.Strategy | None = None):
        self.method = method
        self._step = step_on_all(method.step, strategy or tf.distribute.get_strategy())

    def __call__(self, batch: dict) -> dict[str, tf.Tensor]:
        return self._step(batch)

    def eagerly(self, batch: dict) -> dict[str, tf.Tensor]:
        """The same step without a graph, whose tracing takes ten times as long as the step."""
        tf.config.run_functions_eagerly(True)
        try:
            return self._step(batch)
        finally:
            tf.config.run_functions_eagerly(False)

    def __getattr__(self, name):
        return getattr(self.method, name)
