"""What decides about the label map of an image: by it results are known that another command would make again."""

import json
import pathlib

from msda_tf import files
from msda_tf.evaluation import palettes
from msda_tf.runs.directory import RunDirectory
from msda_tf.runs.trained import Trained


def fingerprint(networks: Trained, *, flip: bool, size: tuple[int, int] | None, legend: bool = False) -> dict:
    """JSON-ready: all that decides about the label map of an image, and how it is shown.

    Args:
      networks: that segment.
      flip: whether the mirror image takes part.
      size: (height, width) of the maps if not the images' own.
      legend: whether pictures have one.
    """
    weights = []
    for checkpoint, member in zip(networks.checkpoints, networks.inference.members, strict=True):
        folder = pathlib.Path(checkpoint.network)
        run = RunDirectory(folder.parent.parent)
        weights.append(
            {
                "network": "/".join(folder.resolve().parts[-3:]),
                "step": checkpoint.step,
                "run_sha256": files.sha256(run.info),
                "checkpoint_sha256": checkpoint.sha256,
                # What may be changed in a run's settings after training.
                "input": [member.level, member.scale, member.size, member.mean, member.align_corners],
            }
        )
    inference = networks.inference
    windows = [member.window for member in inference.members]
    found = {
        "networks": weights,
        "merge": inference.rule,
        "merge_at": inference.merge_at,
        "merged": inference.merged,
        "flip": flip,
        "size": size,
        **({"windows": windows} if any(windows) else {}),
        **networks.shares(),
        **({} if networks.palette == palettes.OWN else {"palette": networks.palette}),
        **({"legend": True} if legend else {}),
    }
    return json.loads(json.dumps(found))  # as it will be read: lists for tuples


def data_sets(networks: Trained) -> dict[str, str]:
    """Name -> SHA-256 of the dataset.json that the networks were trained with."""
    return {
        name: described["dataset.json"]
        for run in networks.runs
        for name, described in run.info.get("datasets", {}).items()
        if "dataset.json" in described
    }
