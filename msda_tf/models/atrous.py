"""The two convolution-network pieces that Keras does not give as DeepLab needs them: atrous convolution and BatchNorm.

Keras runs a dilated `Conv2D` through space-to-batch wherever it runs. On a GPU that hides cuDNN's own dilated kernels,
and in an exported graph it hides the dilation from every converter, so `atrous_conv2d` keeps the convolution whole in
the forward pass and chooses only the gradient's path: on CPUs, TensorFlow has gradients of a dilated convolution for
the types that oneDNN computes, and none for the others or where oneDNN is switched off.
"""

import functools

import keras
import tensorflow as tf

from msda_tf.models.recompute import in_second_pass


def atrous_conv2d(x: tf.Tensor, kernel: tf.Tensor, dilation: int) -> tf.Tensor:
    """Convolution with holes, stride 1, zero padding that keeps the size.

    Args:
      x: `[B, H, W, I]` float16, bfloat16 or float32.
      kernel: `[K, K, I, O]` of the same type, K odd.
      dilation: distance between neighbouring taps, in pixels.

    Returns:
      `[B, H, W, O]`. Gradients exist on every device.
    """
    if dilation == 1:
        return tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
    if has_native_gradient(x.dtype):
        return tf.nn.conv2d(x, kernel, strides=1, padding="SAME", dilations=dilation)

    @tf.custom_gradient
    def convolution(x, kernel):
        def gradient(upstream):
            return _gradient_by_space_to_batch(x, kernel, upstream, dilation)

        return tf.nn.conv2d(x, kernel, strides=1, padding="SAME", dilations=dilation), gradient

    return convolution(x, kernel)


@functools.cache
def has_native_gradient(dtype: tf.DType) -> bool:
    """Whether TensorFlow computes the gradients of a dilated convolution of this type here: found out by trying."""
    if tf.config.get_visible_devices("GPU"):
        return True

    options = {"strides": [1] * 4, "padding": "SAME", "dilations": [1, 2, 2, 1]}

    @tf.function
    def gradients(x, kernel):
        for_x = tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, out_backprop=x, **options)
        return for_x, tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=x, **options)

    with tf.init_scope():  # the caller may be building a graph
        try:
            for gradient in gradients(tf.ones([1, 3, 3, 1], dtype), tf.ones([3, 3, 1, 1], dtype)):
                gradient.numpy()  # an error may wait until somebody looks
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def _gradient_by_space_to_batch(x, kernel, upstream, dilation):
    """Gradients of the dilated convolution for x and kernel: dense gradients on the dilation's interleaved grids."""
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    reach = dilation * (kernel.shape[0] // 2)
    # Every grid gets the same size (round up), and x its border of zeros; upstream is zero there: nothing changes.
    grid_height, grid_width = -(-height // dilation), -(-width // dilation)
    after_height = grid_height * dilation - height
    after_width = grid_width * dilation - width
    grids_x = tf.space_to_batch(x, [dilation, dilation], [[reach, reach + after_height], [reach, reach + after_width]])
    grids_upstream = tf.space_to_batch(upstream, [dilation, dilation], [[0, after_height], [0, after_width]])
    gradient_x = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.shape(grids_x), filter=kernel, out_backprop=grids_upstream, strides=[1] * 4, padding="VALID"
    )
    gradient_x = tf.batch_to_space(
        gradient_x, [dilation, dilation], [[reach, reach + after_height], [reach, reach + after_width]]
    )
    gradient_kernel = tf.raw_ops.Conv2DBackpropFilter(
        input=grids_x, filter_sizes=kernel.shape, out_backprop=grids_upstream, strides=[1] * 4, padding="VALID"
    )
    return tf.ensure_shape(gradient_x, x.shape), gradient_kernel


class AtrousConv2D(keras.layers.Layer):
    """A convolution without bias, with Torch's symmetric padding: `dilation * (K - 1) / 2` zeros on every side.

    Args:
      filters: output channels.
      kernel_size: odd K.
      stride: 1, or another stride if the dilation is 1.
      dilation: distance between neighbouring taps.

    Maps `[B, H, W, I]` to `[B, ceil(H / stride), ceil(W / stride), filters]`. Kernels start from N(0, 0.01), as
    DeepLab's and AdaptSegNet's do, unless `he_normal` is set (for networks trained from scratch).
    """

    def __init__(
        self, filters: int, kernel_size: int, *, stride: int = 1, dilation: int = 1, he_normal=False, **kwargs
    ):
        super().__init__(**kwargs)
        if stride != 1 and dilation != 1:
            raise ValueError("a convolution has a stride or a dilation, not both")
        self.filters, self.kernel_size, self.stride, self.dilation = filters, kernel_size, stride, dilation
        self.he_normal = he_normal

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, input_shape[-1], self.filters),
            initializer="he_normal" if self.he_normal else keras.initializers.RandomNormal(stddev=0.01),
        )

    def call(self, x):
        kernel = tf.convert_to_tensor(self.kernel)
        if self.stride == 1:
            return atrous_conv2d(x, kernel, self.dilation)
        # 'SAME' pads by the image's size; Torch, whose weights are imported, always pads both sides alike.
        pad = (self.kernel_size - 1) // 2
        return tf.nn.conv2d(x, kernel, self.stride, [[0, 0], [pad, pad], [pad, pad], [0, 0]])


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

    def fold_into(self, convolution: AtrousConv2D) -> None:
        """Moves the scale into the kernel of the convolution before, for good: one addition is left, at test only."""
        scale = self.gamma / (self.moving_variance + self.epsilon) ** 0.5
        self.beta.assign(self.beta - self.moving_mean * scale)
        convolution.kernel.assign(convolution.kernel * scale)
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
