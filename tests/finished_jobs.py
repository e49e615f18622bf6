"""Files of an experiment's runs as training and scoring leave them, with scores of one's choice and no weights."""

import numpy as np

from msda_tf.config.branches import plan
from msda_tf.evaluation import metrics
from msda_tf.evaluation.metrics import Metrics
from msda_tf.evaluation.resolution import Resolution
from msda_tf.labels import CITYSCAPES_CLASSES

PIXELS = 1000


def train(job, *, step: int = 10) -> None:
    """Leaves a checkpoint of every network at a step."""
    for network in plan(job.config):
        folder = job.directory / "networks" / network.name / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "checkpoint.json").write_text("{}")
    (job.directory / "run.json").write_text("{}")


def matrix(iou: float) -> np.ndarray:
    """Two of 19 classes with pixels: of road, a part is taken for car; no other class occurs.

    With p of 1000 road pixels right and 1000 car pixels, IoU is p / 1000 and 1000 / (2000 - p).
    """
    counts = np.zeros((19, 20), np.int64)
    right = round(PIXELS * iou)
    counts[0, 0], counts[0, 13], counts[13, 13] = right, PIXELS - right, PIXELS
    return counts


def miou(iou: float, classes: int = 19) -> float:
    """The mean over `classes` of such a matrix, by hand: 19 by the paper's rule, 2 by Cityscapes'."""
    return (iou + 1 / (2 - iou)) / classes


def score(
    job,
    *,
    branches=None,
    step=10,
    best=False,
    images=3,
    merge="max-logit",
    runs=None,
    checkpoint=None,
    data=None,
    window=None,
) -> None:
    """Leaves metrics.json: branch -> IoU of road; with the SHA-256 of the checkpoint and of the data set if given."""
    branches = branches or dict.fromkeys(job.columns, 0.5)
    names = runs or [directory.name for directory in (job.directory, *job.scored_with)]
    networks = [
        {"network": f"{n}/networks/x", "step": step, "selected_on_target_labels": best, "checkpoint_sha256": checkpoint}
        for n in names
    ]
    if window:
        networks = [{**each, "window": window} for each in networks]
    made_from = {"merge": merge, "networks": networks}
    if data:
        made_from["data"] = {"name": job.target, "directory": "/x", "dataset_sha256": data, "as_trained": True}
    matrices = {name: matrix(value) for name, value in branches.items()}
    size = Resolution({"129x65": images}, 0.5)
    found = Metrics(job.target, "test", images, CITYSCAPES_CLASSES.names, matrices, made_from, size)
    metrics.write(found, job.scores_path)
