"""Convolutions with frozen BatchNorm in their kernels, against Keras' own layers one after the other, in float64."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded, seeded_image
from small_backbones import LITE_STAGES

from msda_tf.inference.networks import dtype_policy
from msda_tf.models.backbones.atrous_resnet import AtrousResNet, Depth
from msda_tf.models.backbones.efficientnet_lite import EfficientNetLite
from msda_tf.models.layers import atrous as atrous_module
from msda_tf.models.layers.atrous import AtrousConv2D
from msda_tf.models.layers.frozen_batch_norm import Affines
from msda_tf.models.layers.normalization import convolve, normalization

CHANNELS, FILTERS, EPSILON = 3, 5, 1e-3
SIZES = [(9, 17), (8, 6), (1, 1)]
# A CPU may also add up in 16 bits: 2^-11 for each term of float16, times the root of a kernel's 306 terms.
POLICIES = {"float32": 1e-5, "mixed_bfloat16": 3e-2, "mixed_float16": 1e-2}
PLAIN = {"use_bias": False, "padding": "same"}


@dataclass
class Kind:
    """A convolution of the backbones: what makes it, and Keras' layers that do the same."""

    make: Callable[[], keras.layers.Layer]
    theirs: Callable[[], tuple]
    filters: int = FILTERS


def torch_like(kernel, stride=1, dilation=1):
    def theirs():
        padding = keras.layers.ZeroPadding2D(dilation * (kernel - 1) // 2, dtype="float64")
        return padding, keras.layers.Conv2D(
            FILTERS, kernel, stride, dilation_rate=dilation, use_bias=False, dtype="float64"
        )

    return Kind(lambda: AtrousConv2D(FILTERS, kernel, stride=stride, dilation=dilation), theirs)


def keras_own(layer, *arguments, filters=FILTERS, **options):
    def make(dtype=None):
        return layer(*arguments, **PLAIN, **options, dtype=dtype)

    return Kind(make, lambda: (make("float64"),), filters)


KINDS = {
    "1x1": torch_like(1),
    "1x1 strided": torch_like(1, stride=2),
    "7x7 strided": torch_like(7, stride=2),
    "3x3 dilated": torch_like(3, dilation=2),
    "3x3 TensorFlow's padding": keras_own(keras.layers.Conv2D, FILTERS, 3, 2),
    "depthwise": keras_own(keras.layers.DepthwiseConv2D, 3, filters=CHANNELS),
    "depthwise strided": keras_own(keras.layers.DepthwiseConv2D, 5, 2, filters=CHANNELS),
    "depthwise dilated": keras_own(keras.layers.DepthwiseConv2D, 5, dilation_rate=2, filters=CHANNELS),
}


class Pair(keras.layers.Layer):
    """A convolution and its norm in a layer, as a backbone has them."""

    def __init__(self, kind: Kind, norm: str):
        super().__init__()
        self.convolution, self.norm = kind.make(), normalization(norm, kind.filters, "norm", epsilon=EPSILON)
        self.filters = kind.filters

    def build(self, input_shape):
        self.convolution.build(input_shape)
        self.norm.build((None, None, None, self.filters))

    def call(self, x, training=False):
        return convolve(self.convolution, self.norm, x, training, Affines([self.norm], training))


def pair(kind, policy="float32", norm="frozen"):
    with dtype_policy(policy):
        made = Pair(kind, norm)
        made.build((None, None, None, CHANNELS))
    made.built = True
    made.convolution.kernel.assign(seeded("kernel", made.convolution.kernel.shape))
    for name, low in (("gamma", -1), ("beta", -1), ("moving_mean", -1), ("moving_variance", 0.01)):
        variable = getattr(made.norm, name)
        variable.assign(seeded(name, variable.shape, low, 2))
    return made


def expected(kind, made, x):
    """Output and gradients for x and kernel, by Keras' convolution and BatchNormalization."""
    norm = keras.layers.BatchNormalization(epsilon=EPSILON, dtype="float64")
    layers = [*kind.theirs(), norm]
    x = tf.constant(x, tf.float64)

    def forward():
        y = x
        for layer in layers[:-1]:
            y = layer(y)
        return norm(y, training=False)

    forward()  # makes the variables
    kernel = layers[-2].kernel
    kernel.assign(made.convolution.kernel.numpy().reshape(kernel.shape))
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        getattr(norm, name).assign(getattr(made.norm, name))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = forward()
    upstream = tf.cast(seeded("upstream", tuple(y.shape)), tf.float64)
    return y, *tape.gradient(y, [x, kernel.value], output_gradients=upstream)


def found(made, x, *, training=True, jit=False):
    @tf.function(jit_compile=jit)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = made(x, training=training)
        upstream = tf.cast(seeded("upstream", tuple(y.shape)), y.dtype)
        return y, *tape.gradient(y, [x, made.convolution.kernel.value], output_gradients=upstream)

    return run(tf.constant(x))


def check(kind, policy="float32", size=SIZES[0], norm="frozen", **options):
    made, x = pair(kind, policy, norm), seeded("x", (2, *size, CHANNELS))
    results = found(made, x, **options)
    assert results[0].dtype == made.compute_dtype and results[2].dtype == tf.float32
    for actual, wanted in zip(results, expected(kind, made, x), strict=True):
        assert relative_error(tf.cast(actual, tf.float64), wanted.numpy()) < POLICIES[policy]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradients(kind, size):
    check(KINDS[kind], size=size)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision(kind, policy):
    check(KINDS[kind], policy)


@pytest.mark.parametrize("kind", ["7x7 strided", "3x3 dilated", "depthwise strided"])
def test_compiled(kind):
    check(KINDS[kind], jit=True)


def test_the_dilated_gradient_of_other_machines(monkeypatch):
    monkeypatch.setattr(atrous_module, "has_native_gradient", lambda dtype: False)
    check(KINDS["3x3 dilated"])


@pytest.mark.parametrize("norm", ["frozen", "adaptsegnet"])
def test_at_test(norm):
    check(KINDS["3x3 dilated"], norm=norm, training=False)


def test_kernels_are_rounded_once():
    """An image that shows each channel alone gives the kernel that is in use: the nearest bfloat16 of the product."""
    made = pair(KINDS["1x1"], "mixed_bfloat16")
    made.norm.moving_mean.assign(np.zeros(FILTERS))
    made.norm.beta.assign(np.zeros(FILTERS))
    scale = made.norm.gamma.numpy() / np.sqrt(made.norm.moving_variance.numpy() + np.float32(EPSILON))
    product = tf.cast(made.convolution.kernel.numpy()[0, 0] * scale, tf.bfloat16)
    np.testing.assert_array_equal(made(tf.eye(CHANNELS)[tf.newaxis, tf.newaxis])[0, 0], product)


BACKBONES = {
    "resnet": lambda **options: AtrousResNet(Depth(blocks=(1, 1, 1, 1), planes=(2, 3, 4, 5), stem=4), **options),
    "lite": lambda **options: EfficientNetLite(LITE_STAGES, **options),
}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", BACKBONES)
def test_no_map_is_multiplied_and_norms_are_computed_together(name, recompute):
    backbone = BACKBONES[name](recompute=recompute)
    backbone.build((None, None, None, 3))

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            maps = backbone(images, training=True)
        return tape.gradient(maps, [kernel.value for kernel in backbone.trainable_variables])

    batch = 2
    graph = step.get_concrete_function(tf.TensorSpec([batch, 65, 129, 3])).graph
    kinds = [operation.type for operation in graph.get_operations()]
    products = [
        op.outputs[0].shape for op in graph.get_operations() if op.type == "Mul" and op.outputs[0].shape.rank == 4
    ]
    # Kernels have odd sides.
    assert products and all(shape[0] != batch for shape in products)
    assert (
        kinds.count("Rsqrt") == 1 and kinds.count("BiasAdd") == len(backbone.foldable()) * (1 + recompute) - recompute
    )


def test_nothing_is_kept_from_call_to_call():
    """A traced backbone meets what variables hold when it is called."""
    backbone, fresh = (BACKBONES["resnet"]() for _ in range(2))
    images = tf.constant(seeded_image("stale", 33, 65))
    traced = tf.function(backbone)
    before = traced(images)
    fresh(images)
    for number, (variable, other) in enumerate(zip(backbone.variables, fresh.variables, strict=True)):
        variable.assign(variable + 0.1 * seeded(f"{number}", variable.shape, 0, 1))
        other.assign(variable)
    for old, now, wanted in zip(before, traced(images), fresh(images), strict=True):
        assert relative_error(now, wanted.numpy()) < 1e-5 < relative_error(old, wanted.numpy())


def test_variables_are_those_of_earlier_checkpoints(tmp_path):
    backbone = AtrousResNet(Depth(blocks=(1, 0, 0, 0), planes=(2, 3, 4, 5), stem=6))
    backbone.build((None, None, None, 3))
    path = tf.train.Checkpoint(backbone=backbone).write(str(tmp_path / "weights"))
    stored = {name: shape for name, shape in tf.train.list_variables(path) if name.startswith("backbone/")}
    convolutions = {
        "conv1": [7, 7, 3, 6], "layer1_0/conv1": [1, 1, 6, 2], "layer1_0/conv2": [3, 3, 2, 2],
        "layer1_0/conv3": [1, 1, 2, 8], "layer1_0/downsample_conv": [1, 1, 6, 8],
    }  # fmt: skip
    wanted = {}
    for name, kernel in convolutions.items():
        wanted[f"{name}/kernel"] = kernel
        for tensor in ("gamma", "beta", "moving_mean", "moving_variance"):
            norm = name.replace("downsample_conv", "downsample_bn").replace("conv", "bn")
            wanted[f"{norm}/{tensor}"] = kernel[3:]
    assert stored == {f"backbone/{name}/.ATTRIBUTES/VARIABLE_VALUE": shape for name, shape in wanted.items()}
    assert [v.path for v in backbone.trainable_variables] == [f"backbone/{name}/kernel" for name in convolutions]
