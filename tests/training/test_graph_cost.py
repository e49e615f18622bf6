"""Costs of graphs, against TensorFlow's profiler and against sums by hand."""

import pytest
import tensorflow as tf
from networks import small_segmenter
from tensorflow.python.framework import ops  # the profiler's own figures, without its printing

from msda_tf.models.layers import atrous
from msda_tf.training import graph_cost

MEGABYTE = tf.TensorSpec([1, 64, 64, 64])


def graph(function, *signature):
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function().graph


def test_flops_of_a_network_and_its_gradients_are_tensorflows_own(monkeypatch):
    # TensorFlow counts the gradients of "VALID" convolutions, which other machines need, as if they were "SAME".
    monkeypatch.setattr(atrous, "has_native_gradient", lambda dtype: True)
    segmenter = small_segmenter()

    def step(images):
        with tf.GradientTape() as tape:
            logits = segmenter(images, training=True)
            loss = tf.add_n([tf.reduce_sum(logits[level]["S1"] ** 2) for level in logits])
        return tape.gradient(loss, [variable.value for variable in segmenter.generator_variables])

    built = graph(step, tf.TensorSpec([2, 65, 129, 3]))
    counted = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul")
    total = sum(
        ops.get_stats_for_node_def(built, operation.node_def, "flops").value
        for operation in built.get_operations()
        if operation.type in counted
    )
    # TensorFlow divides by the stride where this counts outputs: odd sizes differ by a row.
    assert graph_cost.flops(built) == pytest.approx(total, rel=5e-3)


def test_flops_of_a_dilated_convolution_by_hand():
    built = graph(
        lambda x, k: tf.nn.conv2d(x, k, 1, "SAME", dilations=2),
        tf.TensorSpec([2, 9, 7, 3]),
        tf.TensorSpec([3, 3, 3, 5]),
    )
    assert graph_cost.flops(built) == 2 * (2 * 9 * 7) * (3 * 3 * 3) * 5


@pytest.mark.parametrize(("transpose_a", "transpose_b"), [(False, False), (True, False), (False, True), (True, True)])
def test_flops_of_matrix_products_by_hand(transpose_a, transpose_b):
    left, right = ([5, 4] if transpose_a else [4, 5]), ([6, 5] if transpose_b else [5, 6])
    built = graph(
        lambda a, b: tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b),
        tf.TensorSpec(left),
        tf.TensorSpec(right),
    )
    assert graph_cost.flops(built) == 2 * 4 * 5 * 6


def test_flops_of_products_of_many_matrices_by_hand():
    """Attention: the queries of each image and head times its keys, and their gradients."""

    def step(q, k):
        with tf.GradientTape() as tape:
            tape.watch([q, k])
            y = tf.matmul(q, k, transpose_b=True)
        return y, tape.gradient(y, [q, k])

    built = graph(step, tf.TensorSpec([2, 3, 5, 7]), tf.TensorSpec([2, 3, 11, 7]))
    assert graph_cost.flops(built) == 3 * 2 * (2 * 3) * (5 * 7 * 11)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_flops_of_a_depthwise_convolution_by_hand(stride, dilation):
    def step(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME", dilations=[dilation, dilation])
        return y, tape.gradient(y, [x, kernel])

    built = graph(step, tf.TensorSpec([2, 8, 12, 3]), tf.TensorSpec([3, 3, 3, 1]))
    assert graph_cost.flops(built) == 3 * 2 * (2 * 8 * 12 // stride**2) * 3 * 3 * 3


def test_flops_within_a_compiled_function():
    product = tf.function(lambda a: tf.matmul(a, a), jit_compile=True)
    assert graph_cost.flops(graph(lambda a: product(a) + product(a), tf.TensorSpec([8, 8]))) == 2 * 2 * 8**3


def test_memory_of_a_chain_is_two_links():
    def chain(x):
        for _ in range(5):
            x = tf.exp(x)
        return tf.reduce_sum(x)

    # 1 MiB each; an input is freed only after the operation that reads it.
    assert graph_cost.peak_bytes(graph(chain, MEGABYTE)) == 2 * 2**20


def test_memory_of_what_a_gradient_keeps():
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            for _ in range(5):
                y = tf.exp(y)
        return tf.reduce_sum(tape.gradient(y, x))

    # All five results are kept (exp's gradient reads its result), then come the gradient and, beside it, its product.
    assert graph_cost.peak_bytes(graph(gradient, MEGABYTE)) / 2**20 == pytest.approx(6.5, abs=0.51)


def test_views_and_work_in_place_cost_nothing():
    def views(x):
        y = tf.exp(x)
        y = tf.nn.relu(tf.identity(tf.reshape(y, [64, -1]))) + 1.0
        return tf.reduce_sum(y)

    assert graph_cost.peak_bytes(graph(views, MEGABYTE)) == pytest.approx(2**20, abs=100)


def test_work_in_place_needs_an_input_that_nobody_else_reads():
    def two(x):
        y = tf.exp(x)
        return tf.reduce_sum(tf.nn.relu(y) * y)

    assert graph_cost.peak_bytes(graph(two, MEGABYTE)) == pytest.approx(2 * 2**20, abs=100)


def test_unknown_sizes_count_as_one():
    built = graph(lambda x: tf.matmul(x, x, transpose_b=True), tf.TensorSpec([None, 8]))
    assert graph_cost.flops(built) == 2 * 8
