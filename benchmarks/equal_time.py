"""Which starting point segments a target best if each may train for the same time?

    python benchmarks/equal_time.py FOLDER --data data --target mine --sources a,b --minutes 10
    python benchmarks/equal_time.py FOLDER --data data --target mine --sources a,b --only small,tiny --set scale=0.5

Trains without adaptation (layout s-all, method supervised) on one thread, and scores the last checkpoint on the
target's labels. Time is the process's own CPU time, which other programs do not stretch as they do seconds; what a
step takes is measured in a short training first, and `steps` follows from it, so that each learning rate falls to zero
at its own end. Everything is kept in FOLDER; started again, it goes on where it stopped.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

from msda_tf import files
from msda_tf.config import TrainConfig, resolve
from msda_tf.evaluate import evaluate
from msda_tf.train import train

STARTS = {
    "tiny": ("tiny", {}),
    "small": ("small", {}),
    "small-from-scratch": ("small", {"init": "none", "norm": "group"}),
    "resnet50": ("small", {"backbone": "resnet50"}),
    "resnet50-from-scratch": ("small", {"backbone": "resnet50", "init": "none", "norm": "group"}),
}
"""Row -> (preset, what is changed)."""

CLOCK = (10, 30)
"""The steps of the short training at which its clock starts and stops; the first is traced."""


def configuration(start: str, settings: dict, **fixed) -> TrainConfig:
    """Of a row."""
    preset, changed = STARTS[start]
    fixed = {"method": "supervised", "layout": "s-all", "evaluate_every": 0} | fixed
    return resolve(preset=preset, settings=changed | settings | fixed, refuse_unread=False)[0]


def seconds_of_a_step(start: str, settings: dict, folder: pathlib.Path) -> float:
    """CPU seconds, measured once and kept in FOLDER.json."""
    kept = folder.with_suffix(".json")
    if not kept.exists():
        clock = {}

        def look(network, step, steps, headline):
            clock[step] = time.process_time()

        first, last = CLOCK
        train(configuration(start, settings, steps=last), folder, restart=folder.exists(), on_progress=look)
        files.write_json(kept, (clock[last] - clock[first]) / (last - first))
    return json.loads(kept.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--data", default="data")
    parser.add_argument("--target", required=True)
    parser.add_argument("--sources", required=True)
    parser.add_argument("--minutes", type=float, default=10, help="of CPU time, for each training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", help="rows, with commas between them", default=",".join(STARTS))
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    settings = dict(each.split("=", 1) for each in arguments.settings)
    settings |= {"data": arguments.data, "target": arguments.target, "sources": arguments.sources}

    print("| start | CPU s a step | steps | mIoU of the classes shown, % |\n|---|---:|---:|---|", flush=True)
    for start in arguments.only.split(","):
        seconds = seconds_of_a_step(start, settings, arguments.folder / f"{start}-clock")
        steps = round(60 * arguments.minutes / seconds)
        scores = []
        for seed in range(arguments.seeds):
            folder = arguments.folder / f"{start}-seed{seed}"
            metrics = train(configuration(start, settings, steps=steps, seed=seed), folder).directory / "metrics.json"
            if not metrics.exists():
                evaluate([folder])
            (branch,) = json.loads(metrics.read_text())["branches"].values()
            scores.append(100 * branch["miou_present"])
        spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
        print(f"| {start} | {seconds:.3f} | {steps} | {statistics.mean(scores):.1f}{spread} |", flush=True)


if __name__ == "__main__":
    main()
