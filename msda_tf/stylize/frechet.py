"""How far the looks of two sets of images are apart: Frechet distance of features of a fixed random network.

The usual distance (FID) takes Inception's features, which need a download and images of 299 pixels. A random network's
features tell colours and small textures apart, which is what a translation changes, and say nothing of content. Figures
compare translations of the same data with each other; they are no FIDs.
"""

import numpy as np
import tensorflow as tf

CHANNELS = (16, 32, 64)
_SEED = 20180501


def random_kernel(random: np.random.RandomState, inputs: int, filters: int) -> np.ndarray:
    """The next kernel of a 3x3 convolution, float32 `[3, 3, inputs, filters]`, of He's deviation."""
    return (random.standard_normal((3, 3, inputs, filters)) * (2 / (9 * inputs)) ** 0.5).astype(np.float32)


def random_features(images: np.ndarray) -> np.ndarray:
    """Features of every patch of uint8 images `[B, H, W, 3]`: float32 `[N, 64]`, one row for each 8x8 pixels.

    Three 3x3 stride-2 convolutions with ReLU and fixed random weights: a patch is 15 pixels wide.
    """
    random = np.random.RandomState(_SEED)  # whose numbers NumPy promises never to change
    x, inputs = tf.constant(images, tf.float32) / 127.5 - 1.0, 3
    for filters in CHANNELS:
        kernel = random_kernel(random, inputs, filters)
        bias = random.standard_normal(filters) * 0.1
        x = tf.nn.conv2d(x, tf.constant(kernel), 2, "SAME") + tf.constant(bias, tf.float32)
        x, inputs = tf.nn.relu(x), filters
    return tf.reshape(x, [-1, inputs]).numpy()


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Squared Frechet distance of the normal distributions that fit two sets of features best.

    `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`.

    Args:
      one, other: `[N, D]` and `[M, D]`, N and M at least 2.

    Source: M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    difference = one.mean(0) - other.mean(0)
    first, second = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (one, other))
    # tr((C1 C2)^(1/2)) is that of the symmetric matrix (C1^(1/2) C2 C1^(1/2))^(1/2), whose eigenvalues are real.
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(max(difference @ difference + np.trace(first) + np.trace(second) - 2 * overlap, 0.0))
