"""Frames a second of `msda-tf prepare` against the number of Beam's workers, beside the one-machine path.

    python benchmarks/scale_out.py                                  # made frames of GTA5's size
    python benchmarks/scale_out.py --raw ~/cityscapes --dataset cityscapes --workers 1,2,4,8

Workers are processes of this machine (DirectRunner). Starting a pipeline takes seconds whatever there is to do, so
each path is timed with few frames and with many: what it takes for none and what it takes for each follow. All paths
take turns in each round, so that whatever else the machine does hits them alike; medians are printed, and every rate is
also given as a multiple of one thread on one machine.
"""

import argparse
import dataclasses
import pathlib
import shutil
import tempfile
import time

import cv2
import numpy as np
from prepare import FINDERS, make_gta5

from msda_tf.beam import runner as runners
from msda_tf.data_prep.conversion import convert, on_beam, shards


def seconds(raw, output: pathlib.Path, **how) -> float:
    """Of one conversion, by the wall clock."""
    shutil.rmtree(output, ignore_errors=True)
    began = time.perf_counter()
    convert.prepare(raw, output=output, name="benchmark", **how)
    return time.perf_counter() - began


def shortened(raw, frames: int):
    """The data set's first part alone, with its first frames."""
    part = dataclasses.replace(raw.parts[0], frames=raw.parts[0].frames[:frames])
    splits = {raw.training_split: (part.name,)}
    return dataclasses.replace(raw, parts=(part,), splits=splits, evaluation_split=None, known_bad=frozenset())


def main() -> None:
    """Times every path with a quarter of the frames and with all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=FINDERS, default="gta5")
    parser.add_argument("--raw", type=pathlib.Path, help="default: made frames")
    parser.add_argument("--frames", type=int, default=96, help="how many to convert")
    parser.add_argument("--workers", default="1,2", help="numbers of Beam's workers")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    # So that even few frames are tasks for many workers.
    shards.SHARD_FRAMES, on_beam.CHECKED_AT_ONCE = 4, 8
    paths = {f"one machine, {count} threads": {"workers": count} for count in sorted({1, convert.cores()})}
    for count in map(int, arguments.workers.split(",")):
        settings = ("direct_running_mode=multi_processing", f"direct_num_workers={count}")
        paths[f"Beam, {count} workers"] = {"workers": 1, "runner": runners.choose("DirectRunner", settings)}
    cv2.setNumThreads(1)  # threads are counted by workers
    with tempfile.TemporaryDirectory() as folder:
        root, output = arguments.raw or pathlib.Path(folder, "raw"), pathlib.Path(folder, "out")
        if arguments.raw is None:
            make_gta5(root, arguments.frames)
        raw = FINDERS[arguments.dataset](root)
        some, all_of_them = (shortened(raw, frames) for frames in (arguments.frames // 4, arguments.frames))
        frames = len(all_of_them.frames), len(some.frames)
        times = {name: [] for name in paths}
        for _ in range(arguments.rounds):
            for name, how in paths.items():
                times[name].append((seconds(all_of_them, output, **how), seconds(some, output, **how)))
    print(f"{frames[0]} and {frames[1]} frames, medians of {arguments.rounds} rounds, {convert.cores()} cores")
    print(f"{'':28}{'s to start':>12}{'frames/s':>10}{'of one thread':>15}{'s, all frames':>15}")
    reference = None
    for name, measured in times.items():
        many, few = np.median(measured, axis=0)
        each = (many - few) / (frames[0] - frames[1])
        reference = reference or 1 / each
        print(f"{name:28}{few - each * frames[1]:12.1f}{1 / each:10.1f}{1 / each / reference:15.2f}{many:15.1f}")


if __name__ == "__main__":
    main()
