"""What each backbone costs: the table of docs/backbones.md.

    python benchmarks/backbones.py efficientnet-lite0 tiny
    python benchmarks/backbones.py --size 640x360 --estimate     # nothing is computed, and nothing takes long

One branch, 19 classes, batch 1, random weights: forward, cross entropy at both levels, backward, Adam. Each backbone is
a process of its own, so that one's memory is not the next one's. "memory" is the estimate from the graph (activations
and gradients at their peak) and the process's peak.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from msda_tf.cli import quiet
from msda_tf.models.backbones import BACKBONES

STEPS = 3


def measure(name: str, size: tuple[int, int], estimate: bool) -> dict:
    """The figures of one backbone, by column."""
    quiet.use_onednn()
    import keras
    import tensorflow as tf

    from msda_tf.models.segmenter import MultiSourceSegmenter
    from msda_tf.training import graph_cost, memory

    segmenter = MultiSourceSegmenter(branches=("S-All",), backbone=name, discriminators="none")
    segmenter.create_variables()
    variables = segmenter.generator_variables
    optimizer = keras.optimizers.Adam()
    optimizer.build(variables)
    images = tf.random.stateless_normal([1, *size, 3], seed=(1, 2)) * 50
    labels = tf.random.stateless_uniform([1, *size], seed=(3, 4), maxval=19, dtype=tf.int32)

    @tf.function(autograph=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = 0.0
            for logits in segmenter(images, training=True).values():
                full = tf.image.resize(logits["S-All"], size)
                loss += tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, full))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    @tf.function(autograph=False)
    def inference(images):
        return segmenter(images, levels=("output",))["output"]["S-All"]

    graph = step.get_concrete_function(images, labels).graph
    forward = inference.get_concrete_function(images).graph
    backbone = segmenter.backbone
    figures = {
        "backbone": name,
        "parameters": sum(
            variable.value.shape.num_elements() for variable in backbone.variables if "moving" not in variable.path
        )
        / 1e6,
        "inference": graph_cost.flops(forward) / 1e9,
        "step": graph_cost.flops(graph) / 1e9,
        "memory": graph_cost.peak_bytes(graph) / 2**30,
    }
    if not estimate:
        seconds = []
        for _ in range(1 + STEPS):
            start = time.perf_counter()
            step(images, labels).numpy()
            seconds.append(time.perf_counter() - start)
        figures |= {"peak": memory.peak()["memory/process"], "seconds": statistics.median(seconds[1:])}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", default=list(BACKBONES), metavar="NAME", help="default: all")
    parser.add_argument("--size", default="512x512", metavar="WxH")
    parser.add_argument("--estimate", action="store_true", help="only what the graph tells: no step is run")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        width, height = map(int, options.size.split("x"))
        print(json.dumps(measure(options.backbones[0], (height, width), options.estimate)))
        return
    print(f"{options.size}\n| backbone | parameters | inference | step | memory of a step | peak | a step takes |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in options.backbones:
        arguments = [__file__, name, "--size", options.size, "--one", *(["--estimate"] * options.estimate)]
        run = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(run.stdout.splitlines()[-1])
        measured = f"{found['peak']:.2f} GiB | {found['seconds']:.2f} s" if "peak" in found else "- | -"
        print(
            f"| {name} | {found['parameters']:.2f} M | {found['inference']:.1f} GFLOP | {found['step']:.1f} GFLOP "
            f"| {found['memory']:.2f} GiB | {measured} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
