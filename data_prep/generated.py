"""Miniature: three small data sets, generated in the native formats of GTA5, SYNTHIA and Cityscapes."""

import json
import pathlib
import shutil

from msda_tf import files
from msda_tf.data_prep import cityscapes, gta5, miniature, synthia
from msda_tf.data_prep.convert import Progress
from msda_tf.data_prep.frames import RawDataset
from msda_tf.errors import UsageError

_MARK = "miniature.json"


def generate(
    output: pathlib.Path, *, train: int, test: int, seed: int, force: bool = False, progress: Progress | None = None
) -> dict[str, RawDataset]:
    """Generates the raw data sets below `output/raw/`, unless they are there already.

    Args:
      train: number of frames per data set for training only.
      test: number of further frames per data set: the test split (Cityscapes: val).
      force: generate them anew.

    Returns:
      Name -> raw data set, ready for `convert.prepare`.

    Raises:
      UsageError: raw data sets of other numbers or another seed are there.
    """
    wanted = {"train": train, "test": test, "seed": seed}
    found = {}
    for dataset in miniature.DATASETS:
        raw = output / "raw" / dataset
        if force:
            shutil.rmtree(raw, ignore_errors=True)
        if raw.exists():
            _check_mark(raw, wanted)
        else:
            partial = raw.with_name(f".{dataset}.part")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            miniature.generate(partial, dataset=dataset, train=train, test=test, seed=seed, progress=progress)
            files.write_json(partial / _MARK, wanted)
            partial.rename(raw)
        if dataset == "cityscapes":
            found[dataset] = cityscapes.find(raw)
        else:
            found[dataset] = {"gta5": gta5, "synthia": synthia}[dataset].find(raw, test_frames=test)
    return found


def _check_mark(raw: pathlib.Path, wanted: dict) -> None:
    try:
        there = json.loads((raw / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        there = None
    if there != wanted:
        told = ", ".join(f"{key} {value}" for key, value in there.items()) if there else "unknown numbers"
        raise UsageError(f"{raw} holds frames of {told}: choose another --output, or generate them anew with --force")
