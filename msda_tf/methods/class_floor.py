"""A floor under each class's share of the pseudo-labels, so that small classes do not go under.

A network that learns from the likeliest class of each pixel gives the frequent classes more with every round. Here the
labels of each class keep a part of the share that it has in the sources, as expected shares do under the relaxed
class-ratio prior of T.-H. Vu et al., "ADVENT" (CVPR 2019, section 3.3): the probability of a class that is given too
seldom is multiplied by its price, which is the multiplier of that constraint and follows by dual ascent. A class that
is given often enough has the price 1.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from msda_tf.methods import moving_average

RATE = 0.05
"""By how much the logarithm of a price rises in a step that gives a class no pixel."""

HIGHEST = 10.0
"""Price. A class that the target does not show must not be found at any price."""


def source_shares(pixels: Sequence[Sequence[int]]) -> np.ndarray:
    """Mean share of each class in the labels of the sources that show it, float32 `[C]`; 0 where none does.

    Args:
      pixels: of each source, those of each class, `[S, C]`.
    """
    counts = np.asarray(pixels, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return (shares.sum(axis=0) / np.maximum((counts > 0).sum(axis=0), 1)).astype(np.float32)


def next_log_prices(log_prices: tf.Tensor, given: tf.Tensor, floors: tf.Tensor) -> tf.Tensor:
    """Prices after a batch of labels: up where a class has less than its floor, down to 1 where it has more.

    A step is proportional to (floor - share) / floor: it is 0 in the mean where the shares' mean is the floor, however
    much they vary from batch to batch. Without a floor the price stays.

    Args:
      log_prices: logarithms of the prices before, float32 `[C]`.
      given: share of each class in the batch's labels, float32 `[C]`.
      floors: least shares that are wanted, float32 `[C]`.

    Returns:
      float32 `[C]`, from 0 to log(`HIGHEST`).
    """
    missing = tf.math.divide_no_nan(floors - given, floors)
    return tf.clip_by_value(log_prices + RATE * missing, 0.0, np.log(HIGHEST).astype(np.float32))


class ClassFloor(keras.layers.Layer):
    """Prices of a teacher's classes.

    Attributes:
      floors: least share of each class, float32 `[C]`; at first none.
      log_prices: float32 `[C]`.
    """

    def __init__(self, classes: int):
        super().__init__(name="class_floor", dtype="float32")
        options = {"shape": (classes,), "trainable": False, "initializer": "zeros", "dtype": "float32"}
        self.floors = self.add_weight(name="floors", **options)
        self.log_prices = self.add_weight(name="log_prices", **options)
        self.built = True

    def priced(self, scores: tf.Tensor, rule: str) -> tf.Tensor:
        """Scores as `msda_tf.inference.merge.merge_scores` gives them, float32 `[B, H, W, C]`, with the prices."""
        if rule == "max-logit":
            return scores + self.log_prices.value
        return scores * tf.exp(self.log_prices.value)

    def follow(self, given: tf.Tensor) -> None:
        """Takes the next prices, after labels of which each class has the share `given`, the same on all devices."""
        prices = next_log_prices(self.log_prices.value, given, self.floors.value)
        moving_average.assign([(self.log_prices.value, prices)])
