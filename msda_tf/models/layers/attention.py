"""Attention of several heads, and the layer normalisation and dense layers around it."""

import keras
import tensorflow as tf


def dense(units: int, name: str) -> keras.layers.Dense:
    """A linear layer with bias over the last axis, started as vision transformers are: N(0, 0.02), cut off."""
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02), name=name)


def layer_norm(epsilon: float, name: str) -> keras.layers.LayerNormalization:
    """Over the last axis."""
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)


def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, heads: int) -> tf.Tensor:
    """softmax(q k^T / sqrt(d)) v for each head.

    Args:
      query: `[B, N, C]`.
      key, value: `[B, M, C]`.
      heads: C is `heads * d`.

    Returns:
      `[B, N, C]`, of the query's type.

    Source: A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
    """
    channels = query.shape[-1]

    def split(x):
        x = tf.reshape(x, [-1, tf.shape(x)[1] if x.shape[1] is None else x.shape[1], heads, channels // heads])
        return tf.transpose(x, [0, 2, 1, 3])

    scale = tf.cast((channels // heads) ** -0.5, query.dtype)
    weights = tf.nn.softmax(tf.matmul(split(query) * scale, split(key), transpose_b=True))
    mixed = tf.transpose(tf.matmul(weights, split(value)), [0, 2, 1, 3])
    length = tf.shape(query)[1] if query.shape[1] is None else query.shape[1]
    return tf.reshape(mixed, [-1, length, channels])
