"""How the time and memory of a step grow with the number of sources, the size of the images and the batch.

    python benchmarks/cost_growth.py
    python benchmarks/cost_growth.py --backbone resnet101 --size 320x180 --steps 2

Layout `joint` (a branch for every source and S-All, at two levels, each with its discriminator) on random images, one
process for each row. Time is the CPU time of all threads, the fastest of the steps; memory is what the process grew by
while it took them, beside the estimate that `msda-tf train --dry-run` prints.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

from msda_tf.cli import quiet
from msda_tf.config.branches import plan

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
quiet.use_onednn()


def measure(options) -> dict[str, float]:
    """Cost of one row, in this process."""
    import numpy as np
    import tensorflow as tf

    from msda_tf.config import resolve
    from msda_tf.data.corrupt import CorruptRecords
    from msda_tf.data.manifest import Manifest, Split
    from msda_tf.labels import CITYSCAPES_CLASSES
    from msda_tf.methods.task import SegmentationTask
    from msda_tf.training import graph_cost

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    width, height = map(int, options.size.split("x"))
    names = [f"source{number}" for number in range(options.sources)]
    settings = {"target": "target", "sources": ",".join(names), "layout": "joint", "batch_size": options.batch}
    preset = "tiny" if options.backbone == "tiny" else "paper"
    config, _ = resolve(preset=preset, settings=settings | {"backbone": options.backbone, "loss_at": "input"})
    train = Split(shards=(), labelled=True, class_pixels=(1,) * len(CITYSCAPES_CLASSES), ignored_pixels=0)
    manifests = {
        name: Manifest(
            name=name, kind="custom", classes=CITYSCAPES_CLASSES, height=height, width=width, mean_rgb=(0, 0, 0),
            splits={"train": train}, training_split="train", evaluation_split=None,
        )
        for name in [*names, "target"]
    }  # fmt: skip
    (network,) = plan(config)
    strategy = tf.distribute.get_strategy()
    task = SegmentationTask(
        config=config, network=network, manifests=manifests, strategy=strategy, corrupt=CorruptRecords(limit=0)
    )
    random = np.random.default_rng(0)

    def images():
        pixels = random.integers(0, 256, (options.batch, height, width, 3))
        return {"image": tf.constant(pixels, tf.uint8), "mean": tf.zeros([3])}

    label = tf.constant(random.integers(0, 19, (options.batch, height, width)), tf.uint8)
    batch = {"sources": [images() | {"label": label} for _ in names], "target": images()}
    graph = task.step_graph(batch)
    before = _resident()
    seconds = []
    for _ in range(1 + options.steps):
        start = time.process_time()
        for value in task.train_step(batch).values():
            value.numpy()
        seconds.append(time.process_time() - start)
    return {
        "seconds": min(seconds[1:]),
        "gflop": graph_cost.flops(graph) / 1e9,
        "memory": _resident() - before,
        "estimate": graph_cost.peak_bytes(graph) / 2**30,
    }


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="tiny", choices=["tiny", "resnet50", "resnet101"])
    parser.add_argument("--size", default="256x128", help="of the first row's images (default: 256x128)")
    parser.add_argument("--steps", type=int, default=3, help="steps after the first (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: 1)")
    parser.add_argument("--sources", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sources:
        print(json.dumps(measure(options)))
        return
    width, height = map(int, options.size.split("x"))
    rows = [(1, 1, 1), (2, 1, 1), (4, 1, 1), (2, 2, 1), (2, 4, 1), (2, 1, 2), (2, 1, 4)]
    print(f"{options.backbone}, {options.threads} thread(s)")
    print("| sources | images | batch | GFLOP | CPU s a step | against the 2nd row | grown by GiB | estimate GiB |")
    print("|---|---|---|---|---|---|---|---|")
    found = {}
    for sources, scale, batch in rows:
        size = f"{width * scale}x{height * scale}"
        command = [
            sys.executable,
            str(pathlib.Path(__file__).resolve()),
            "--backbone",
            options.backbone,
            "--size",
            size,
        ]
        command += ["--steps", str(options.steps), "--threads", str(options.threads)]
        command += ["--sources", str(sources), "--batch", str(batch)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"| {sources} | {size} | {batch} | failed: {done.stderr.strip().splitlines()[-1]} |")
            continue
        found[sources, size, batch] = cost = json.loads(done.stdout.splitlines()[-1])
        base = found.get((2, options.size, 1), cost)["seconds"]
        ratio = "" if sources == 1 else f"{cost['seconds'] / base:.2f}"
        print(
            f"| {sources} | {size} | {batch} | {cost['gflop']:.1f} | {cost['seconds']:.2f} | {ratio} | "
            f"{cost['memory']:.2f} | {cost['estimate']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
