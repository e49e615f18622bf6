"""Raw miniature data sets, generated where they are missing and looked through, ready for conversion."""

import dataclasses
import pathlib
import shutil

from msda_tf import files, lock
from msda_tf.errors import UsageError

from ..conversion.convert import Progress
from ..readers import cityscapes, gta5, synthia
from ..readers.frames import RawDataset
from . import generate as miniature

GENERATED = "miniature"
"""The option in dataset.json that marks a generated data set."""

_MARK = "miniature.json"  # in a raw folder: how it was drawn


def find(
    output: pathlib.Path,
    *,
    train: int,
    test: int,
    seed: int = 0,
    height: int | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, RawDataset]:
    """Generates the three raw data sets in `output/raw/`, unless they are there already.

    Args:
      train: number of frames of each that are only for training.
      test: number of further frames of each: the test split (Cityscapes: val).
      seed, height, workers: as in `miniature.generate`.
      force: generate them anew.
      progress: told of every frame drawn.

    Returns:
      Name -> raw data set.

    Raises:
      UsageError: raw data sets of other numbers, height or seed are there.
    """
    folder = output / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    with lock.hold(folder, "msda-tf prepare"):
        for dataset in miniature.DATASETS:
            raw = folder / dataset
            wanted = {"dataset": dataset, "train": train, "test": test, "seed": seed, "height": height}
            if force and (raw / _MARK).is_file():
                shutil.rmtree(raw)
            if raw.exists():
                _check(raw, wanted)
            else:
                _draw(raw, wanted, workers=workers, progress=progress)
    found = {
        "gta5": gta5.find(folder / "gta5", test_frames=test),
        "synthia": synthia.find(folder / "synthia", test_frames=test),
        "cityscapes": cityscapes.find(folder / "cityscapes"),
    }
    # Tells train, and whoever reads dataset.json, that these are not the real ones.
    return {name: dataclasses.replace(raw, rules={**raw.rules, GENERATED: True}) for name, raw in found.items()}


def _draw(raw: pathlib.Path, wanted: dict, *, workers: int | None, progress: Progress | None) -> None:
    """Draws a data set into `raw`, which appears when it is whole and marked."""

    def told(done: int, total: int) -> None:
        progress(f"drawing {wanted['dataset']}", done, total)

    unmarked = raw.with_name(f".{raw.name}.unmarked")
    for leftover in raw.parent.glob(f".*{raw.name}.unmarked*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    miniature.generate(unmarked, **wanted, workers=workers, progress=told if progress else None)
    files.write_json(unmarked / _MARK, wanted)
    unmarked.rename(raw)


def _check(raw: pathlib.Path, wanted: dict) -> None:
    try:
        there = files.read_json(raw / _MARK)
        if not isinstance(there, dict):
            raise ValueError
    except (OSError, ValueError):
        raise UsageError(f"{raw} holds something else than a miniature: choose another --output") from None
    for key, value in wanted.items():
        if there.get(key) != value:
            raise UsageError(
                f"{raw} was drawn with {key} = {there.get(key)}, now {value} is asked for: choose another --output, "
                "or draw it anew with --force"
            )
