"""Gradient checkpointing: forget a layer's inner activations and compute them again in the backward pass.

`tf.recompute_grad` does the same, but gives the layer no way to know that it runs for the second time, so BatchNorm
would update its statistics twice.
"""

import contextlib
import contextvars

import tensorflow as tf

_SECOND_PASS = contextvars.ContextVar("second_pass", default=False)


def in_second_pass() -> bool:
    """Whether a layer is being computed again, and must not update its state."""
    return _SECOND_PASS.get()


def recomputed(layer, x: tf.Tensor, **arguments) -> tf.Tensor:
    """`layer(x, **arguments)` with the same gradients for x and variables, keeping only x and arguments in between.

    Source: T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
    """

    @tf.custom_gradient
    def forward(x):
        def gradient(upstream, variables=()):
            # Waits for the upstream gradient: started earlier, the second pass would save nothing.
            with tf.control_dependencies([upstream]), tf.GradientTape() as tape, _second_pass():
                again = tf.identity(x)
                tape.watch(again)
                y = layer(again, **arguments)
            for_x, *for_variables = tape.gradient(y, [again, *variables], upstream)
            return for_x, for_variables

        return layer(x, **arguments), gradient

    return forward(x)


@contextlib.contextmanager
def _second_pass():
    token = _SECOND_PASS.set(True)
    try:
        yield
    finally:
        _SECOND_PASS.reset(token)
