"""AtrousConv2D in value and gradients, against loops over taps."""

import numpy as np
import pytest
import tensorflow as tf
from convolution_oracles import atrous, atrous_gradients
from networks import relative_error
from seeded import seeded

from msda_tf.inference.networks import dtype_policy
from msda_tf.models.layers import atrous as atrous_module
from msda_tf.models.layers.atrous import AtrousConv2D, atrous_conv2d, has_native_gradient

SIZES = [(9, 7), (1, 1), (2, 11), (8, 8)]
# A CPU without instructions for bfloat16 also adds up in it: 2^-9 for each term, times the root of the 126 terms of a
# kernel's gradient.
TOLERANCE = {"float64": 1e-12, "float32": 1e-6, "bfloat16": 3e-2, "float16": 2e-3}


@pytest.fixture(params=["native gradient", "space-to-batch"])
def path(request, monkeypatch):
    """Both ways to the gradient, whichever this machine would choose."""
    if request.param == "space-to-batch":
        monkeypatch.setattr(atrous_module, "has_native_gradient", lambda dtype: False)
    elif not has_native_gradient(tf.float32):
        pytest.skip("TensorFlow has no gradients of dilated convolutions for the kernels of this processor")


def arrays(size, dtype="float32"):
    x, kernel, upstream = seeded("x", (2, *size, 3)), seeded("kernel", (3, 3, 3, 5)), seeded("up", (2, *size, 5))
    return [tf.cast(value, dtype) for value in (x, kernel, upstream)]


def value_and_gradients(x, kernel, upstream, dilation):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = atrous_conv2d(x, kernel, dilation)
    return y, *tape.gradient(y, [x, kernel], output_gradients=upstream)


def check(results, inputs, dilation, tolerance):
    x, kernel, upstream = (tf.cast(value, tf.float64).numpy() for value in inputs)
    expected = (atrous(x, kernel, dilation), *atrous_gradients(x, kernel, dilation, upstream))
    for actual, wanted in zip(results, expected, strict=True):
        assert relative_error(tf.cast(actual, tf.float64), wanted) < tolerance


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 24])
def test_value_and_gradients(size, dilation, path):
    inputs = arrays(size)
    check(value_and_gradients(*inputs, dilation), inputs, dilation, TOLERANCE["float32"])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("dilation", [1, 4])
def test_every_dtype(dtype, dilation, path):
    inputs = arrays((9, 7), dtype)
    results = value_and_gradients(*inputs, dilation)
    assert all(result.dtype == dtype for result in results)
    check(results, inputs, dilation, TOLERANCE[dtype])


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dilation", [2, 4])
def test_in_a_graph(jit, dilation, path):
    inputs = arrays((9, 7))
    compiled = tf.function(lambda *args: value_and_gradients(*args, dilation), jit_compile=jit)
    check(compiled(*inputs), inputs, dilation, TOLERANCE["float32"])


def test_sizes_known_only_at_run_time(path):
    map_ = tf.TensorSpec([None, None, None, 3])
    signature = [map_, tf.TensorSpec([3, 3, 3, 5]), tf.TensorSpec([None, None, None, 5])]
    compiled = tf.function(lambda *args: value_and_gradients(*args, 4), input_signature=signature)
    for size in SIZES:
        inputs = arrays(size)
        check(compiled(*inputs), inputs, 4, TOLERANCE["float32"])


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("size", [(9, 7), (8, 10), (1, 2)])
def test_stride_pads_both_sides_alike(kernel_size, size):
    layer = AtrousConv2D(4, kernel_size, stride=2)
    x = seeded("x", (2, *size, 3))
    layer.build(x.shape)
    layer.kernel.assign(seeded("k", layer.kernel.shape))
    expected = atrous(x, layer.kernel.numpy(), 1)[:, ::2, ::2]
    assert expected.shape[1:3] == tuple(-(-n // 2) for n in size)
    assert relative_error(layer(x), expected) < 1e-6


def test_mixed_precision_computes_in_half_and_keeps_float32_weights():
    with dtype_policy("mixed_bfloat16"):
        layer = AtrousConv2D(4, 3, dilation=2)
    y = layer(seeded("x", (1, 5, 5, 3)))
    assert (y.dtype, layer.kernel.dtype) == (tf.bfloat16, "float32")


def test_starting_weights():
    layer = AtrousConv2D(64, 3)
    layer.build((1, 9, 9, 64))
    assert abs(float(np.std(layer.kernel)) - 0.01) < 2e-4
    layer = AtrousConv2D(64, 3, he_normal=True)
    layer.build((1, 9, 9, 64))
    assert abs(float(np.std(layer.kernel)) / (2 / (9 * 64)) ** 0.5 - 1) < 0.02


def test_stride_and_dilation_together_are_refused():
    with pytest.raises(ValueError, match="stride or a dilation"):
        AtrousConv2D(4, 3, stride=2, dilation=2)
