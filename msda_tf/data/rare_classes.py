"""Rare-class sampling: images with rare classes come more often (L. Hoyer et al., "DAFormer", CVPR 2022, eqs. 8-9).

Every source has its own: a class that a source lacks must not take part in its draws.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf.data.order import stream_key


def probabilities(pixels: np.ndarray, temperature: float) -> np.ndarray:
    """How often each class is drawn: the softmax of (1 - f_c) / T, f_c its share of the pixels; float64 `[C]`.

    Args:
      pixels: of each class, int `[C]`; a class without pixels is never drawn.
      temperature: T > 0: the lower, the more often the rarest.
    """
    shares = pixels / max(1, pixels.sum())
    logits = np.where(pixels > 0, -shares / temperature, -np.inf)
    weights = np.exp(logits - logits.max()) if (pixels > 0).any() else np.zeros(len(pixels))
    return weights / max(weights.sum(), 1e-300)


@dataclass(frozen=True)
class RareSampling:
    """How images are drawn.

    Attributes:
      temperature: see `probabilities`.
      min_pixels: an image has a class if it shows more pixels of it. Where no class is left, all images are alike.
    """

    temperature: float
    min_pixels: int


class RareClasses:
    """Which image and class belong to each position of a stream: functions of the seed and the position alone.

    A class is drawn by `probabilities`, then an image, uniformly among those that show enough of it.

    Args:
      counts: pixels of each class in each image, int `[N, C]`, N > 0.
      sampling: how they are drawn.
      seed, stream: as for `msda_tf.data.order.shuffled_records`.
    """

    def __init__(self, counts: np.ndarray, sampling: RareSampling, *, seed: int, stream: str):
        images = [np.flatnonzero(column > sampling.min_pixels) for column in counts.T]
        found = np.array([len(own) > 0 for own in images])
        chances = probabilities(np.where(found, counts.sum(axis=0), 0), sampling.temperature)
        if not found.any():
            images, chances = [np.arange(len(counts))], np.ones(1)
        self._key = stream_key(seed, f"{stream}/rare classes")
        with tf.device("CPU"):
            self._borders = tf.constant(np.cumsum(chances)[:-1], tf.float64)
            self._first = tf.constant(np.cumsum([0, *map(len, images)])[:-1], tf.int64)
            self._sizes = tf.constant([len(own) for own in images], tf.int64)
            self._images = tf.constant(np.concatenate(images), tf.int64)
        self._real = bool(found.any())

    def drawn(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(image, class), int64 `[]` each, of a position int64 `[]`; class -1 where no image has enough of any."""
        draws = tf.random.stateless_uniform([2], tf.stack([self._key, position]), dtype=tf.float64, alg="philox")
        wanted = tf.searchsorted(self._borders, draws[:1], side="right", out_type=tf.int64)[0]
        size = self._sizes[wanted]
        place = tf.minimum(tf.cast(draws[1] * tf.cast(size, tf.float64), tf.int64), size - 1)
        return self._images[self._first[wanted] + place], wanted if self._real else tf.constant(-1, tf.int64)

    def records(self, first: int) -> tf.data.Dataset:
        """An endless data set of pairs, int64 `[]` each: position (first, first + 1, ...), and record."""
        positions = tf.data.Dataset.range(first, np.iinfo(np.int64).max)
        return positions.map(lambda position: (position, self.drawn(position)[0]))
