"""The moving average of a network's weights: the "mean teacher" of A. Tarvainen, H. Valpola (NeurIPS 2017)."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def decay_at(step: tf.Tensor, decay: float) -> tf.Tensor:
    """The decay at a step (from 0): min(1 - 1 / (step + 1), decay), float32 `[]`, as in DACS and DAFormer.

    At step 0 it is 0, so that the average begins as a copy; then it is the mean of all weights so far, until `decay`.
    """
    return tf.minimum(1.0 - 1.0 / (tf.cast(step, tf.float32) + 1.0), decay)


def averaged(average: tf.Tensor, new: tf.Tensor, decay: tf.Tensor) -> tf.Tensor:
    """decay * average + (1 - decay) * new, written so that a decay of 0 and equal values give `new` to the bit."""
    return new + tf.cast(decay, new.dtype) * (average - new)


def follow(averages: Sequence[keras.Variable], originals: Sequence[keras.Variable], decay: tf.Tensor) -> None:
    """Moves each average towards its original, inside a replica's step.

    Args:
      averages: what is updated.
      originals: as many, of the same shapes.
      decay: float32 `[]`, the same in all replicas.
    """
    pairs = [(old.value, new.value) for old, new in zip(averages, originals, strict=True)]
    _on_all(
        pairs, lambda average, new, factor: average.assign(averaged(average, tf.convert_to_tensor(new), factor)), decay
    )


def copy(copies: Sequence[keras.Variable], originals: Sequence[keras.Variable]) -> None:
    """Gives variables the values of as many others, outside of a step."""
    for each, original in zip(copies, originals, strict=True):
        each.assign(original)


def assign(pairs) -> None:
    """Gives variables the values of tensors, inside a replica's step.

    Args:
      pairs: (variable, value) that every replica has alike.
    """
    _on_all(pairs, lambda variable, value: variable.assign(value))


def _on_all(pairs, update, *arguments) -> None:
    """`update(variable, value, *arguments)` of each pair on every device, as optimizers do it.

    Args:
      pairs: (variable, value) that every replica has alike: variables or tensors.
      update: assigns.
      arguments: tensors that every replica has alike.
    """

    def on_all(strategy, arguments, values):
        for (variable, _), value in zip(pairs, values, strict=True):
            strategy.extended.update(variable, update, args=(value, *arguments))

    tf.__internal__.distribute.interim.maybe_merge_call(
        on_all, tf.distribute.get_strategy(), arguments, [value for _, value in pairs]
    )
