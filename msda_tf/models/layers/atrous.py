"""The two convolution-network pieces that Keras does not give as DeepLab needs them: atrous convolution and BatchNorm.

Keras runs a dilated `Conv2D` through space-to-batch wherever it runs. On a GPU that hides cuDNN's own dilated kernels,
and in an exported graph it hides the dilation from every converter, so `atrous_conv2d` keeps the convolution whole in
the forward pass and chooses only the gradient's path: on CPUs, TensorFlow has gradients of a dilated convolution for
the types that oneDNN computes, and none for the others or where oneDNN is switched off.
"""

import functools

import keras
import tensorflow as tf


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

    @tf.function(autograph=False)
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
    # Sizes that are known stay known: the cost of a step is counted from them.
    height, width = x.shape[1:3] if x.shape[1:3].is_fully_defined() else tf.unstack(tf.shape(x)[1:3])
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
