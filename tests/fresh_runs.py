"""Run directories with random weights, as good as trained ones for whatever only runs the networks."""

import pathlib

from msda_tf import config as configuration
from msda_tf import runs
from msda_tf.data import manifest as manifests
from msda_tf.inference.networks import build_segmenter
from msda_tf.runs import Run
from msda_tf.training.checkpoints import Checkpoints


def write(directory: pathlib.Path, data: pathlib.Path, *, weights: bool = True, **settings) -> Run:
    """Writes a run of the tiny network for the target cityscapes; without `weights`, without checkpoints."""
    settings = {
        "target": "cityscapes",
        "data": str(data),
        "steps": 10,
        "aspp_rates": [2, 4],
        "merge": "max-logit",
        **settings,
    }
    config, _ = configuration.resolve(preset="tiny", settings=settings, refuse_unread=False)
    found = {name: manifests.find(data, name) for name in (config.target, *config.sources)}
    run = runs.create(directory, config, found)
    for network in run.networks if weights else ():
        segmenter = build_segmenter(config, network, len(run.classes))
        checkpoints = Checkpoints(run.folder(network).checkpoints)
        checkpoints.save({"segmenter": segmenter}, step=10, state={"metrics": {}, "best_score": None})
    return run
