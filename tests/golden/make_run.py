"""Writes run_66212a6.json: what a run directory of that revision held, and how its code scored it.

In a checkout of revision 66212a6, with its packages installed:

    python make_run.py run_66212a6.json

The weights are not kept: both sides make them from the names of the checkpoint's variables (`value`).
"""

import json
import pathlib
import sys
import tempfile

sys.path.insert(0, "tests")

import numpy as np
import prepared
import seeded
import tensorflow as tf

from msda_tf import config as configuration
from msda_tf import runs
from msda_tf.data import manifest as manifests
from msda_tf.evaluate import evaluate
from msda_tf.networks import build_segmenter
from msda_tf.training.checkpoints import Checkpoints


def value(key, shape):
    """The weights of a variable: kernels keep activations near 1."""
    if len(shape) > 1:
        return (seeded.seeded(key, shape) * (2 / np.prod(shape[:-1])) ** 0.5).astype(np.float32)
    return (seeded.seeded(key, shape) * 0.2 + float(key.endswith("gamma"))).astype(np.float32)


folder = pathlib.Path(tempfile.mkdtemp())
data = folder / "data"
for seed, (name, shift) in enumerate({"gta5": 0.0, "synthia": 40.0, "cityscapes": -30.0}.items()):
    prepared.write(data, name, shift=shift, seed=seed)
archive = {}
for kind, extra in {"joint": {"layout": "joint"}, "no-adapt": {"layout": "s-all", "adapt": False}}.items():
    settings = {"target": "cityscapes", "data": "data", "steps": 10, "aspp_rates": [2, 4], **extra}
    config, _ = configuration.resolve(preset="tiny", settings=settings)
    found = {name: manifests.find(data, name) for name in (config.target, *config.sources)}
    run = runs.create(folder / kind, config, found)
    (network,) = run.networks
    segmenter = build_segmenter(config, network, len(run.classes))
    checkpoints = Checkpoints(run.network_directory(network) / "checkpoints")
    state = {"metrics": {}, "best_score": None}
    path = checkpoints.save({"segmenter": segmenter}, step=10, state=state)
    shapes = tf.train.load_checkpoint(str(path / "weights")).get_variable_to_shape_map()
    shapes = {key.split("/.ATTR")[0]: shape for key, shape in shapes.items() if "VARIABLE_VALUE" in key}
    shapes.pop("save_counter", None)
    for key, shape in shapes.items():
        variable = segmenter
        for part in key.split("/")[1:]:
            variable = getattr(variable, part)
        variable.assign(value(key, tuple(shape)))
    checkpoints.save({"segmenter": segmenter}, step=10, state=state)
    matrices = evaluate([run.directory], data=data).metrics.matrices
    info = json.loads((run.directory / "run.json").read_text())
    del info["provenance"]
    archive[kind] = {
        "config.yaml": (run.directory / "config.yaml").read_text(),
        "run.json": info,
        "network": network.name,
        "checkpoint": shapes,
        "matrices": {
            name: [[int(row), int(column), int(matrix[row, column])] for row, column in np.argwhere(matrix)]
            for name, matrix in matrices.items()
        },
    }
pathlib.Path(sys.argv[1]).write_text(json.dumps(archive, separators=(",", ":")))
