"""BatchNorm whose gamma and beta stay as pretrained."""

import keras
import tensorflow as tf

from msda_tf.models.layers.recompute import in_second_pass


class FrozenBatchNorm(keras.layers.Layer):
    """BatchNorm whose gamma and beta are never trained.

    Args:
      update_statistics: False: normalise with the stored statistics, which never change (the safe reading of "we turned
        off the batch norm updates"). True: what AdaptSegNet's code does: in training, normalise with the batch's own
        statistics and let the stored ones follow with momentum 0.9; at test use the stored ones.
      epsilon: added to the variance.

    Maps `[B, H, W, C]` to the same shape.
    """

    momentum = 0.9

    def __init__(self, *, update_statistics: bool = False, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.update_statistics, self.epsilon = update_statistics, epsilon
        self.folded = False

    def build(self, input_shape):
        # `add_weight` cannot say how replicas share a variable: each writes its own statistics, without waiting for the
        # others, and the mean over replicas is what is read outside them and what a checkpoint holds.
        shared = {"synchronization": "on_read", "aggregation": "mean"} if self.update_statistics else {}

        def weight(name, initializer, **kwargs):
            return keras.Variable(
                initializer, shape=(input_shape[-1],), dtype=self.variable_dtype, trainable=False, autocast=False,
                name=name, **kwargs,
            )  # fmt: skip

        self.gamma = weight("gamma", "ones")
        self.beta = weight("beta", "zeros")
        self.moving_mean = weight("moving_mean", "zeros", **shared)
        self.moving_variance = weight("moving_variance", "ones", **shared)

    def fold_into(self, convolution: keras.layers.Layer) -> None:
        """Moves the scale into the kernel of the convolution before, for good: one addition is left, at test only.

        Args:
          convolution: without bias; its kernel is `[K, K, I, C]`, or a depthwise one's `[K, K, C, 1]`.
        """
        scale = self.gamma / (self.moving_variance + self.epsilon) ** 0.5
        self.beta.assign(self.beta - self.moving_mean * scale)
        depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        convolution.kernel.assign(convolution.kernel * (scale[:, tf.newaxis] if depthwise else scale))
        self.folded = True

    def call(self, x, training=False):
        if self.folded:
            return tf.nn.bias_add(x, tf.cast(tf.convert_to_tensor(self.beta), x.dtype))
        if self.update_statistics and training:
            mean, variance = self._batch_statistics(x)
        else:
            mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        scale = tf.convert_to_tensor(self.gamma) * tf.math.rsqrt(variance + self.epsilon)
        shift = tf.convert_to_tensor(self.beta) - mean * scale
        return x * tf.cast(scale, x.dtype) + tf.cast(shift, x.dtype)

    def _batch_statistics(self, x):
        mean, variance = tf.nn.moments(tf.cast(x, self.variable_dtype), [0, 1, 2])
        count = tf.cast(tf.size(x) // tf.shape(x)[-1], self.variable_dtype)
        if in_second_pass():
            return mean, variance
        # Torch normalises with the biased variance and stores the unbiased one.
        unbiased = variance * count / tf.maximum(count - 1, 1)
        self.moving_mean.assign(self.momentum * self.moving_mean + (1 - self.momentum) * mean)
        self.moving_variance.assign(self.momentum * self.moving_variance + (1 - self.momentum) * unbiased)
        return mean, variance
