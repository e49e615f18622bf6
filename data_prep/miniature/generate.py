"""Miniature: three small generated data sets on the disk layouts of GTA5, SYNTHIA-RAND-CITYSCAPES and Cityscapes.

None of the three can be shipped with this project. Their miniatures can: street scenes drawn by a program, with the
file names, folders, palettes, bit depths and aspect ratios of the originals, with their classes, and with a gap
between them of the same nature (`street_domains.py` says which). They are for trying things out, for tests, and for
comparing methods in minutes; figures measured on them say nothing about the real data sets.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import cv2
import numpy as np

from msda_tf.errors import MsdaError, UsageError

from . import files as street_files
from .domains import STYLES
from .sheet import contact_sheet
from .street import Frame, render

DATASETS = tuple(STYLES)
"""gta5, synthia, cityscapes."""

__all__ = ["DATASETS", "HEIGHT", "NATIVE_SIZES", "contact_sheet", "generate", "image_size", "scene"]

HEIGHT = 128
"""Default height of the pictures in pixels."""

NATIVE_SIZES = {"gta5": (1052, 1914), "synthia": (760, 1280), "cityscapes": (1024, 2048)}
"""Height and width of the originals: the miniatures keep their aspect ratio."""


def image_size(dataset: str, height: int | None = None) -> tuple[int, int]:
    """Height and width in pixels of a miniature's pictures, in the original's aspect ratio."""
    height = HEIGHT if height is None else height
    rows, columns = NATIVE_SIZES[dataset]
    return height, round(height * columns / rows)


def scene(dataset: str, *, frame: int, split: str = "train", seed: int = 0, height: int | None = None) -> Frame:
    """One frame: image, kinds and instances, each `[H, W]` as `Frame` says.

    The pixels depend on the arguments alone, not on what was drawn before.

    Args:
      dataset: gta5, synthia or cityscapes.
      frame: its number in the split, from 0.
      split: train or val.
      seed: of the whole data set.
      height: of the picture in pixels; HEIGHT by default.
    """
    rng = np.random.default_rng([seed, DATASETS.index(dataset), int(split == "val"), frame])
    return render(STYLES[dataset], rng, *image_size(dataset, height))


def generate(
    output: pathlib.Path,
    *,
    dataset: str,
    train: int,
    test: int,
    seed: int = 0,
    height: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> None:
    """Writes one miniature data set; `output` then is what `msda-tf prepare --raw` expects.

    GTA5 and SYNTHIA have no splits on disk: their test images are the first of all. There, `train + test` frames are
    written to one folder; for Cityscapes, `train` frames go to the split train and `test` frames to val.
    The files are the same for any number of workers, and a frame is the same for any number of frames.

    Args:
      output: the folder to make: a new one, or an empty one. It appears when the last frame is written.
      dataset: gta5, synthia or cityscapes.
      train, test: number of frames.
      seed: another seed gives other scenes.
      height: of the pictures in pixels; HEIGHT by default.
      progress: is called with the number of frames done and of all frames.
      workers: number of processes; one per usable processor by default.

    Raises:
      UsageError: an argument is out of range, or `output` is not empty.
      MsdaError: a worker failed.
      OSError: the files cannot be written.
    """
    output = pathlib.Path(output)
    if dataset not in DATASETS:
        raise UsageError(f"data set {dataset!r} has no miniature: choose one of {', '.join(DATASETS)}")
    if train < 1 or test < 1:
        raise UsageError(f"a miniature needs at least 1 training and 1 test frame, not {train} and {test}")
    if seed < 0:
        raise UsageError(f"the seed must be 0 or more, not {seed}")
    if height is not None and not 32 <= height <= 2160:
        raise UsageError(f"the height of a miniature must be from 32 to 2160 pixels, not {height}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} is not an empty folder: remove it, or name a new one for the miniature")
    task = {"dataset": dataset, "train": train, "test": test, "seed": seed, "height": height}
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        _write_frames(partial, task, progress, workers)
        if output.exists():
            output.rmdir()
        os.replace(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _frames(task: dict) -> list[tuple[str, int]]:
    """(split, number) of every frame."""
    if task["dataset"] == "cityscapes":
        return [("train", index) for index in range(task["train"])] + [("val", index) for index in range(task["test"])]
    return [("train", index) for index in range(task["train"] + task["test"])]


def _write_share(folder: pathlib.Path, task: dict, part: int, parts: int):
    """Writes every `parts`-th frame from `part` on, yielding after each."""
    for split, index in _frames(task)[part::parts]:
        frame = scene(task["dataset"], frame=index, split=split, seed=task["seed"], height=task["height"])
        street_files.write(folder, task["dataset"], split, index, frame)
        yield


def _write_frames(folder: pathlib.Path, task: dict, progress, workers: int | None) -> None:
    total = len(_frames(task))
    if workers is None:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = min(usable, 1 + total // 32)  # a process takes as long to start as a dozen frames
    steps = _write_share(folder, task, 0, 1) if workers == 1 else _in_processes(folder, task, workers)
    for done, _ in enumerate(steps, start=1):
        if progress:
            progress(done, total)


def _in_processes(folder: pathlib.Path, task: dict, workers: int):
    """Has `workers` processes write the frames, yielding after each frame.

    Drawing is mostly Python, so threads would wait for each other. The processes are started as commands because
    `multiprocessing` would either fork a process in which TensorFlow may have started threads, or run the caller's
    main script once more in every worker.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    reader, writer = os.pipe()
    running = []
    try:
        for part in range(workers):
            share = json.dumps({"folder": str(folder), "task": task, "part": part, "parts": workers})
            command = [sys.executable, "-m", "msda_tf.data_prep.miniature.generate", share]
            running.append(subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=environment))
        os.close(writer)
        writer = None
        with os.fdopen(reader, "rb", buffering=0) as reports:  # a byte per frame, until the last worker has ended
            reader = None
            while report := reports.read(64):
                yield from report
        for process in running:
            complaint = process.stderr.read().decode(errors="replace").strip().splitlines()
            if process.wait():
                reason = complaint[-1] if complaint else f"exit status {process.returncode}"
                raise MsdaError(f"{folder}: drawing the miniature failed ({reason})")
    finally:
        for process in running:
            process.kill()
            process.wait()
            process.stderr.close()
        for descriptor in (reader, writer):
            if descriptor is not None:
                os.close(descriptor)


if __name__ == "__main__":  # a worker process: see _in_processes
    cv2.setNumThreads(1)
    share = json.loads(sys.argv[1])
    for _ in _write_share(pathlib.Path(share["folder"]), share["task"], share["part"], share["parts"]):
        os.write(1, b".")
