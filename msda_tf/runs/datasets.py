"""What a run notes of its data sets, to know them again, and where they are looked for."""

import pathlib

from msda_tf import files
from msda_tf.data.manifest import FILE_NAME, Manifest
from msda_tf.remote import cache


def describe(found: dict[str, Manifest]) -> dict[str, dict]:
    """What a run notes of its data sets, by name: enough to know them again."""
    return {
        name: {
            "dataset.json": checksum(manifest),
            "images": manifest.splits[manifest.training_split].examples,
            "width": manifest.width,
            "height": manifest.height,
            "mean_rgb": list(manifest.mean_rgb),
        }
        for name, manifest in found.items()
    }


def checksum(manifest: Manifest) -> str:
    """By which a prepared data set is known: the SHA-256 of its dataset.json."""
    return files.sha256(manifest.directory / FILE_NAME)


def folders(given: str, noted: pathlib.Path | None) -> list[pathlib.Path]:
    """Where a run's data sets may be: where they were, and where the path that the run was given leads to from here.

    Args:
      given: the run's setting `data`, which may be relative, or a URL.
      noted: the folder that it was when the run began; runs of earlier versions do not know.
    """
    here = cache.here(given)
    return [here] if noted is None or noted == here.absolute() else [noted, here]


def holding(name: str, folders: list[pathlib.Path]) -> pathlib.Path | None:
    """The first of the folders that has a data set, or the one that a condition ("acdc:night") is of."""
    data_set = name.partition(":")[0]
    return next((folder for folder in folders if (folder / data_set / FILE_NAME).is_file()), None)
