"""Frames a second of `msda-tf prepare` against the number of Beam's workers, beside the one-machine path.

    python benchmarks/scale_out.py                                  # made frames of GTA5's size
    python benchmarks/scale_out.py --raw ~/cityscapes --dataset cityscapes --workers 1,2,4,8
    python benchmarks/scale_out.py --plan 20000       # what stays on the machine that starts the work, instead

Workers are processes of this machine (DirectRunner). Starting a pipeline takes seconds whatever there is to do, so
each path is timed with few frames and with many: what it takes for none and what it takes for each follow. All paths
take turns in each round, so that whatever else the machine does hits them alike; medians are printed. Processor time of
all processes together ("per core") is what a busy machine does not blur; the wall-clock rates stand beside it, also as
multiples of one thread on one machine.
"""

import argparse
import dataclasses
import os
import pathlib
import resource
import shutil
import tempfile
import time

import cv2
import numpy as np
from prepare import FINDERS, make_gta5

from msda_tf.beam import runner as runners
from msda_tf.data.writing.images import Storage
from msda_tf.data_prep.conversion import convert, on_beam, shards
from msda_tf.data_prep.conversion.options import options_of
from msda_tf.data_prep.conversion.source import Source


def seconds(raw, output: pathlib.Path, **how) -> tuple[float, float]:
    """Of one conversion: by the wall clock, and of all processors."""
    shutil.rmtree(output, ignore_errors=True)
    began, before = time.perf_counter(), _processor()
    convert.prepare(raw, output=output, name="benchmark", **how)
    return time.perf_counter() - began, _processor() - before


def _processor() -> float:
    """Seconds of this process and of those that it waited for, which waited for their workers."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def shortened(raw, frames: int):
    """The data set's first part alone, with its first frames."""
    part = dataclasses.replace(raw.parts[0], frames=raw.parts[0].frames[:frames])
    splits = {raw.training_split: (part.name,)}
    return dataclasses.replace(raw, parts=(part,), splits=splits, evaluation_split=None, known_bad=frozenset())


def plan(count: int, root: pathlib.Path) -> None:
    """Prints frames a second of finding files, asking for sizes and times, and planning shards and tasks."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            path = root / folder / f"{number:07d}.png"
            path.touch()
            os.truncate(path, 2_000_000)
    began = time.perf_counter()
    raw = FINDERS["gta5"](root)
    Source(raw, workers=1, report=lambda done: None)
    options = options_of(raw, Storage())
    plans = [each for part in raw.parts for each in shards.plan(part, Storage())]
    tasks = [(each.file, shards.fingerprint(each, options)) for each in plans]
    took = time.perf_counter() - began
    print(f"{count} frames, {len(tasks)} shards: {count / took:.0f} frames/s are planned")


def main() -> None:
    """Times every path with a quarter of the frames and with all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=FINDERS, default="gta5")
    parser.add_argument("--raw", type=pathlib.Path, help="default: made frames")
    parser.add_argument("--frames", type=int, default=96, help="how many to convert")
    parser.add_argument("--workers", default="1,2", help="numbers of Beam's workers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plan", type=int, help="frames to plan, instead of all else")
    arguments = parser.parse_args()
    if arguments.plan:
        with tempfile.TemporaryDirectory() as folder:
            plan(arguments.plan, pathlib.Path(folder, "raw"))
        return
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
    heads = ("frames/s per core", "core s to start", "frames/s by the wall clock", "of one thread", "s to start")
    print(f"{'':26}" + "".join(f"{head:>{len(head) + 3}}" for head in heads))
    reference = None
    for name, measured in times.items():
        many, few = np.median(measured, axis=0)  # each (wall, processors)
        wall, processor = (many - few) / (frames[0] - frames[1])
        to_start = few - np.array([wall, processor]) * frames[1]
        reference = reference or wall
        values = (1 / processor, to_start[1], 1 / wall, reference / wall, to_start[0])
        row = "".join(f"{value:{len(head) + 3}.2f}" for value, head in zip(values, heads, strict=True))
        print(f"{name:26}{row}")


if __name__ == "__main__":
    main()
