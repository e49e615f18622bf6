"""BatchNorm whose gamma and beta stay as pretrained."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from msda_tf.models.layers.recompute import in_second_pass


class FrozenBatchNorm(keras.layers.Layer):
    """BatchNorm whose gamma and beta are never trained.

    With stored statistics it multiplies by constants, and does so in the kernel of the convolution before, which it is
    called with, and in every pass anew: the kernel stays the variable that is trained.

    Args:
      update_statistics: False: normalise with the stored statistics, which never change (the safe reading of "we turned
        off the batch norm updates"). True: what AdaptSegNet's code does: in training, normalise with the batch's own
        statistics and let the stored ones follow with momentum 0.9; at test use the stored ones.
      epsilon: added to the variance.

    Maps the convolution's input to `[B, H, W, C]`; without a convolution, `[B, H, W, C]` to the same shape.
    """

    momentum = 0.9

    def __init__(self, *, update_statistics: bool = False, epsilon: float = 1e-5, **kwargs):
        # Whatever type the maps have, it computes in the variables', and reads kernels as they are stored.
        super().__init__(dtype=keras.config.dtype_policy().variable_dtype, autocast=False, **kwargs)
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
        convolution.kernel.assign(_scaled(convolution, scale))
        self.folded = True

    def constant(self, training: bool) -> bool:
        """Whether scale and shift do not depend on the images, and are still to be computed."""
        return not self.folded and not (self.update_statistics and training)

    def call(self, x, training=False, convolution: keras.layers.Layer | None = None, affine=None):
        """The norm of `convolution(x)`, or of x.

        Args:
          x: `[B, H, W, I]`.
          training: whether to normalise with the batch's statistics, if they are to be followed.
          convolution: without bias, see `fold_into`; None: x is what it gave.
          affine: scale and shift, float32 `[C]`, where `Affines` computed them.
        """
        if self.folded:
            x = x if convolution is None else convolution(x)
            return tf.nn.bias_add(x, tf.cast(tf.convert_to_tensor(self.beta), x.dtype))
        if self.constant(training):
            scale, shift = affine or Affines([self], training).of[self]
            if convolution is not None:
                with keras.StatelessScope([(convolution.kernel, _scaled(convolution, scale))]):
                    x = convolution(x)
                return tf.nn.bias_add(x, tf.cast(shift, x.dtype))
        else:
            x = x if convolution is None else convolution(x)
            mean, variance = self._batch_statistics(x)
            scale, shift = _affine(self.gamma, self.beta, mean, variance + self.epsilon)
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


class Affines:
    """Scales and shifts of a network's norms, computed together: a handful of operations instead of five for each norm.

    To be made within the pass that uses it: then it never lags behind variables that were loaded or moved. (It is no
    mapping because Keras would look into one among a layer's arguments, and cast what it finds.)

    Args:
      norms: of any kind and state.
      training: whether the pass is one of training.

    Attributes:
      of: for each norm that multiplies and adds constants, these, float32 `[C]` each.
    """

    def __init__(self, norms: Iterable[keras.layers.Layer], training: bool):
        norms = [norm for norm in norms if isinstance(norm, FrozenBatchNorm) and norm.constant(training)]
        self.of: dict[FrozenBatchNorm, tuple[tf.Tensor, tf.Tensor]] = {}
        if not norms:
            return
        (epsilon,) = {norm.epsilon for norm in norms}
        gamma, beta, mean, variance = (
            tf.concat([tf.convert_to_tensor(variable) for variable in variables], 0)
            for variables in zip(*((n.gamma, n.beta, n.moving_mean, n.moving_variance) for n in norms), strict=True)
        )
        sizes = [norm.gamma.shape[0] for norm in norms]
        scales, shifts = (tf.split(both, sizes) for both in _affine(gamma, beta, mean, variance + epsilon))
        self.of = dict(zip(norms, zip(scales, shifts, strict=True), strict=True))


def _affine(gamma, beta, mean, variance) -> tuple[tf.Tensor, tf.Tensor]:
    """(scale, shift) for which `x * scale + shift` is x normalised."""
    scale = tf.convert_to_tensor(gamma) * tf.math.rsqrt(variance)
    return scale, tf.convert_to_tensor(beta) - mean * scale


def _scaled(convolution: keras.layers.Layer, scale) -> tf.Tensor:
    """The kernel with which a convolution gives its outputs times `scale`, `[C]`."""
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    return tf.convert_to_tensor(convolution.kernel) * tf.convert_to_tensor(scale[:, tf.newaxis] if depthwise else scale)
