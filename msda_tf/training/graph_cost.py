"""What a TensorFlow graph costs: its floating-point operations, and the memory of its tensors."""

import math
from collections.abc import Iterator

import tensorflow as tf

_CONVOLUTION_GRADIENTS = ("Conv2DBackpropInput", "Conv2DBackpropFilter")
_DEPTHWISE = "DepthwiseConv2dNative"
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")

_VIEWS = ("Identity", "IdentityN", "Reshape", "StopGradient", "ExpandDims", "Squeeze", "PreventGradient", "Snapshot")
"""Operations that hand their input on without a copy."""

_IN_PLACE = ("Add", "AddN", "AddV2", "BiasAdd", "LeakyRelu", "LeakyReluGrad", "Mul", "Relu", "ReluGrad", "Sub")
"""Operations that write over an input that nobody else needs."""

_NOT_ALLOCATED = ("Const", "Placeholder", "ReadVariableOp", "VarHandleOp")
"""Operations whose results are counted with the variables, or are there anyway."""


def flops(graph: tf.Graph) -> int:
    """Floating-point operations of the convolutions and matrix products, two for each multiplication with addition.

    Everything else that a network does is a few operations for each element of its maps: about a hundredth of these.
    """
    total = 0
    for operation in graph.get_operations():
        if operation.type == "Conv2D":
            kernel = operation.inputs[1].shape
            total += 2 * _elements(operation.outputs[0]) * math.prod(kernel[:3])
        elif operation.type in _CONVOLUTION_GRADIENTS:
            kernel = (operation.outputs[0] if operation.type.endswith("Filter") else operation.inputs[1]).shape
            total += 2 * _elements(operation.inputs[2]) * math.prod(kernel[:3])
        elif operation.type.startswith(_DEPTHWISE):
            # Of a gradient, the kernel is an input or the result, and the map that every product belongs to an input.
            kernel = (operation.outputs[0] if operation.type.endswith("Filter") else operation.inputs[1]).shape
            outputs = operation.outputs[0] if operation.type == _DEPTHWISE else operation.inputs[2]
            total += 2 * _elements(outputs) * math.prod(kernel[:2])
        elif operation.type in ("MatMul", "BatchMatMulV2"):
            transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
            inner = operation.inputs[0].shape[-2 if transposed else -1]
            total += 2 * _elements(operation.outputs[0]) * (inner or 1)
        else:
            total += sum(flops(called) for called in _called(operation))
    return total


def peak_bytes(graph: tf.Graph) -> int:
    """Most bytes of tensors that are alive together when the operations run one by one, in the order of their making.

    Variables are not counted, nor what kernels need for themselves. Results that only hand an input on share its
    memory, and so do element-wise operations over an input that nobody else needs.
    """
    return max(_alive(graph))


class _Buffer:
    """Memory that one or more tensors share, and how many reads of it are still to come."""

    def __init__(self, size: int, reads: int):
        self.size, self.reads = size, reads


def _alive(graph: tf.Graph) -> Iterator[int]:
    """Bytes that are alive during each operation."""
    buffers: dict = {}
    alive = 0

    def free(buffer):
        nonlocal alive
        alive -= buffer.size
        buffer.size = 0

    yield 0
    for operation in graph.get_operations():
        inputs = [buffers[key] for key in {tensor.ref() for tensor in operation.inputs} if key in buffers]
        last = [buffer for buffer in inputs if buffer.reads == inputs.count(buffer)]
        made = []
        for position, tensor in enumerate(operation.outputs):
            reads = len({consumer.name for consumer in tensor.consumers()})
            if operation.type in _VIEWS:
                source = buffers.get(operation.inputs[position].ref())
                if source is not None:
                    source.reads += reads
                    buffers[tensor.ref()] = source
                continue
            made.append(_Buffer(0 if operation.type in _NOT_ALLOCATED else _bytes(tensor), reads))
            buffers[tensor.ref()] = made[-1]
            reused = next((b for b in last if b.size == made[-1].size), None) if operation.type in _IN_PLACE else None
            if reused is not None:
                free(reused)
            alive += made[-1].size
        yield alive + max((peak_bytes(called) for called in _called(operation)), default=0)
        for buffer in inputs:
            buffer.reads -= 1
        for buffer in [*inputs, *made]:
            if buffer.reads == 0:
                free(buffer)


def _bytes(tensor: tf.Tensor) -> int:
    return _elements(tensor) * tensor.dtype.size


def _called(operation: tf.Operation) -> list[tf.Graph]:
    """The graph of the function that an operation calls."""
    if operation.type not in _CALLS:
        return []
    function = operation.graph._get_function(operation.get_attr("f").name)
    return [function.graph]


def _elements(tensor: tf.Tensor) -> int:
    """Number of elements; unknown sizes count as one."""
    if tensor.shape.rank is None:
        return 1
    return math.prod(1 if side is None else side for side in tensor.shape)
