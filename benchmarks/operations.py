"""How many operations a training step has, by kind: a GPU waits for the host that issues them one by one.

    python benchmarks/operations.py
    python benchmarks/operations.py --backbone tiny --passes together
    python benchmarks/operations.py --method self-training

Counts the graph that TensorFlow is given for a step of layout `joint` with two sources and images of one size, with the
functions that it calls, and without what costs a GPU nothing: constants, reads of variables, operations that only hand
their input on, and those whose results nobody reads. TensorFlow's own rewriting comes later and may merge some.
"""

import argparse
import collections
import os
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # noqa: E402

from msda_tf.config import resolve  # noqa: E402
from msda_tf.config.branches import plan  # noqa: E402
from msda_tf.data.corrupt import CorruptRecords  # noqa: E402
from msda_tf.data.manifest import Manifest, Split  # noqa: E402
from msda_tf.labels import CITYSCAPES_CLASSES  # noqa: E402
from msda_tf.methods.task import SegmentationTask  # noqa: E402

FREE = {
    "Const", "ExpandDims", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp", "Reshape", "Shape",
    "Squeeze", "StopGradient",
}  # fmt: skip


def operations(graph: tf.Graph) -> Iterator[tf.Operation]:
    """Of a graph and of the functions that it calls: those that TensorFlow runs."""
    left = [operation for operation in graph.get_operations() if operation.op_def.is_stateful]
    left += [tensor.op for tensor in graph.outputs]
    needed = set()
    while left:
        operation = left.pop()
        if operation not in needed:
            needed.add(operation)
            left += [*operation.control_inputs, *(tensor.op for tensor in operation.inputs)]
    for operation in needed:
        yield operation
        if operation.type in ("PartitionedCall", "StatefulPartitionedCall"):
            yield from operations(graph._get_function(operation.get_attr("f").name).graph)


def of_discriminator(operation: tf.Operation) -> bool:
    """Whether a convolution, or the gradient of one, is a discriminator's: they alone have kernels of 4x4."""
    kernel = operation.outputs[0] if operation.type.endswith("Filter") else operation.inputs[1]
    return kernel.shape[:2] == (4, 4)


def step(backbone: str, passes: str, method: str) -> tf.Graph:
    """The graph of a step."""
    names = "one", "two", "target"
    settings = {"target": "target", "sources": "one,two", "layout": "joint"}
    preset = "tiny" if backbone == "tiny" else "paper"
    config, _ = resolve(preset=preset, settings=settings | {"backbone": backbone, "passes": passes, "method": method})
    split = Split((), True, (1,) * len(CITYSCAPES_CLASSES), 0)
    manifests = {
        name: Manifest(
            name=name, kind="custom", classes=CITYSCAPES_CLASSES, height=128, width=256, mean_rgb=(0, 0, 0),
            splits={"train": split}, training_split="train", evaluation_split=None,
        )
        for name in names
    }  # fmt: skip
    (network,) = plan(config)
    strategy, corrupt = tf.distribute.get_strategy(), CorruptRecords(limit=0)
    task = SegmentationTask(config=config, network=network, manifests=manifests, strategy=strategy, corrupt=corrupt)
    return task.step_graph(task.blank_batch())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet101", help="(default: resnet101)")
    parser.add_argument("--passes", choices=["apart", "together"], nargs="+", default=["apart", "together"])
    parser.add_argument("--method", default="adversarial", help="(default: adversarial)")
    parser.add_argument("--kinds", type=int, default=12, help="of the most frequent kinds to print (default: 12)")
    options = parser.parse_args()
    for passes in options.passes:
        found = [each for each in operations(step(options.backbone, passes, options.method)) if each.type not in FREE]
        convolutions = [each for each in found if each.type.startswith("Conv2D")]
        own = sum(map(of_discriminator, convolutions))
        print(
            f"{options.backbone}, passes={passes}: {len(found):,} operations; convolutions and their gradients: "
            f"{len(convolutions) - own:,} in backbone and heads, {own:,} in discriminators"
        )
        kinds = collections.Counter(each.type for each in found).most_common(options.kinds)
        print("  " + ", ".join(f"{kind} {count:,}" for kind, count in kinds), flush=True)


if __name__ == "__main__":
    main()
