"""What a run notes of its data sets, to know them again."""

from msda_tf import files
from msda_tf.data.manifest import FILE_NAME, Manifest


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
