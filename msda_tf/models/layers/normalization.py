"""The layer that follows a convolution: BatchNorm as pretrained, BatchNorm of the batch, or GroupNorm."""

import keras
import tensorflow as tf

from msda_tf.models.layers.frozen_batch_norm import FrozenBatchNorm


def normalization(norm: str, channels: int, name: str, *, epsilon: float = 1e-5) -> keras.layers.Layer:
    """The layer that follows a convolution.

    Args:
      norm: "frozen" (BatchNorm as stored in the pretrained weights), "adaptsegnet" (BatchNorm with the statistics of
        each batch in training), or "group" (GroupNorm, trainable: for networks that start from random weights, which
        frozen BatchNorm cannot train).
      channels: of the map.
      epsilon: of the BatchNorm whose weights are loaded.
    """
    if norm == "group":
        return keras.layers.GroupNormalization(groups=max(1, channels // 8), epsilon=1e-5, name=name)
    return FrozenBatchNorm(update_statistics=norm == "adaptsegnet", epsilon=epsilon, name=name)


def normalize(layer: keras.layers.Layer, x: tf.Tensor, training: bool) -> tf.Tensor:
    """Calls a layer that `normalization` made: `[B, H, W, C]` to the same shape."""
    return layer(x, training=training) if isinstance(layer, FrozenBatchNorm) else layer(x)
