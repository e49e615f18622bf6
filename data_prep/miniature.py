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

from msda_tf import files
from msda_tf.data_prep import street_files
from msda_tf.data_prep.street import Frame, render
from msda_tf.data_prep.street_domains import STYLES
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import CITYSCAPES_CLASSES, CITYSCAPES_ID_COLORS

DATASETS = ("gta5", "synthia", "cityscapes")

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
            command = [sys.executable, "-m", "msda_tf.data_prep.miniature", share]
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


def contact_sheet(raw: pathlib.Path, path: pathlib.Path, rows: int = 4) -> None:
    """Puts frames of each miniature beside their coloured labels into one PNG.

    Args:
      raw: folder that holds gta5/, synthia/ and cityscapes/ (or some of them) as `generate` writes them.
      path: the PNG to write.
      rows: number of frames of each data set, taken evenly from all of them.

    Raises:
      UsageError: there is none of the three folders.
    """
    raw, path = pathlib.Path(raw), pathlib.Path(path)
    columns = []
    for dataset in DATASETS:
        frames = street_files.find(raw / dataset, dataset)
        if not frames:
            continue
        chosen = [frames[int(place)] for place in np.linspace(0, len(frames) - 1, min(rows, len(frames)))]
        cells = [_cell(dataset, *frame) for frame in chosen]
        columns.append(_with_title(dataset, np.concatenate(cells)))
    if not columns:
        raise UsageError(f"{raw} holds no miniature: expected folders named {', '.join(DATASETS)}; generate them first")
    tallest = max(column.shape[0] for column in columns)
    padded = [np.pad(column, ((0, tallest - column.shape[0]), (0, 12), (0, 0))) for column in columns]
    sheet = np.concatenate(padded, axis=1)
    sheet = np.concatenate([sheet, _legend(sheet.shape[1])])
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())


def _cell(dataset: str, image: pathlib.Path, label: pathlib.Path, height: int = 224) -> np.ndarray:
    """A frame and its coloured label side by side: uint8 `[height, W, 3]` RGB."""
    if dataset == "synthia":
        colors = cv2.imread(str(label.parent.parent / "COLOR" / label.name))[..., ::-1]
    else:
        table = np.zeros((256, 3), np.uint8)
        for label_id, color in CITYSCAPES_ID_COLORS.items():
            table[label_id] = color
        colors = table[street_files.read_ids(label)]
    picture = cv2.imread(str(image))[..., ::-1]
    extent = (round(height * picture.shape[1] / picture.shape[0]), height)
    picture = cv2.resize(picture, extent, interpolation=cv2.INTER_CUBIC)
    colors = cv2.resize(colors, extent, interpolation=cv2.INTER_NEAREST)
    return np.pad(np.concatenate([picture, colors], axis=1), ((0, 6), (0, 0), (0, 0)))


def _write(pixels: np.ndarray, text: str, at: tuple[int, int], size: float) -> None:
    cv2.putText(pixels, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (235, 235, 235), 1, cv2.LINE_AA)


def _with_title(title: str, pixels: np.ndarray) -> np.ndarray:
    bar = np.zeros((34, pixels.shape[1], 3), np.uint8)
    _write(bar, f"{title} (miniature)", (6, 23), 0.7)
    return np.concatenate([bar, pixels])


def _legend(width: int) -> np.ndarray:
    """The classes' colours and names, as many in a row as fit into `width` pixels."""
    step = 150
    per_row = max(1, width // step)
    bar = np.zeros((26 * -(-len(CITYSCAPES_CLASSES) // per_row) + 8, width, 3), np.uint8)
    for index, (name, color) in enumerate(zip(CITYSCAPES_CLASSES.names, CITYSCAPES_CLASSES.colors, strict=True)):
        x, y = 6 + step * (index % per_row), 4 + 26 * (index // per_row)
        bar[y : y + 18, x : x + 18] = color
        _write(bar, name, (x + 24, y + 14), 0.45)
    return bar


if __name__ == "__main__":  # a worker process: see _in_processes
    cv2.setNumThreads(1)
    share = json.loads(sys.argv[1])
    for _ in _write_share(pathlib.Path(share["folder"]), share["task"], share["part"], share["parts"]):
        os.write(1, b".")
