"""The layer that follows a convolution: BatchNorm as pretrained, BatchNorm of the batch, or GroupNorm."""

import keras
import tensorflow as tf

from msda_tf.models.layers.frozen_batch_norm import Affines, FrozenBatchNorm


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


def convolve(
    convolution: keras.layers.Layer, norm: keras.layers.Layer, x: tf.Tensor, training: bool, affines: Affines
) -> tf.Tensor:
    """`norm(convolution(x))`, as cheaply as it goes, of a convolution without bias and a layer of `normalization`.

    Args:
      convolution: whose kernel is `[K, K, I, C]`, or a depthwise one's `[K, K, C, 1]`.
      norm: the layer after it.
      x: `[B, H, W, I]`.
      training: whether the pass is one of training.
      affines: of this pass.
    """
    if isinstance(norm, FrozenBatchNorm):
        return norm(x, training=training, convolution=convolution, affine=affines.of.get(norm))
    return norm(convolution(x))
