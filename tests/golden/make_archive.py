"""Writes released_66212a6.tar.xz: a data set and an export as the code of that revision left them.

In a checkout of revision 66212a6, with its packages installed:

    ln -s ../cli msda_tf/cli; ln -s ../data_prep msda_tf/data_prep
    python make_archive.py released_66212a6.tar.xz

It is the oldest revision whose files are promised to be read. The archive holds `data/town`, which its `prepare` made
of the four scenes of `prepared.scene`; `model/1`, which its `export` made of a network whose weights repeat a few
numbers, so that they are small when packed; and `labels.png`, what that model said of the first scene.
"""

import pathlib
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, ".")
sys.path.insert(0, "tests")

import numpy as np
import prepared
import seeded
import tensorflow as tf
from PIL import Image

from msda_tf import config as configuration
from msda_tf import export, runs
from msda_tf.data import manifest as manifests
from msda_tf.networks import build_segmenter
from msda_tf.training.checkpoints import Checkpoints

DESCRIPTION = """
name: town
splits:
  train: {images: images/train/*.png, labels: labels/train/*.png}
  val: {images: images/val/*.png, labels: labels/val/*.png}
labels: ids
classes: cityscapes
map: {road: [0], sidewalk: [1], building: [2], wall: [3], fence: [4]}
ignore: [255]
"""

folder = pathlib.Path(tempfile.mkdtemp())
raw, data = folder / "raw", folder / "data"
for number in range(4):
    image, label = prepared.scene(np.random.default_rng(number), 65, 129, 0.0)
    for kind, picture in (("images", image), ("labels", label)):
        path = raw / kind / ("val" if number == 0 else "train") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
(folder / "town.yaml").write_text(DESCRIPTION)
words = ["prepare", "--dataset", "custom", "--config", folder / "town.yaml", "--raw", raw, "--output", data]
subprocess.run([sys.executable, "-m", "msda_tf", *map(str, words)], check=True)
for name in ("gta5", "synthia"):
    prepared.write(data, name)

settings = {"target": "town", "sources": ["gta5"], "data": str(data), "steps": 10, "aspp_rates": [2]}
config, _ = configuration.resolve(preset="tiny", settings={**settings, "layout": "s-all"})
found = {name: manifests.find(data, name) for name in (config.target, *config.sources)}
run = runs.create(folder / "run", config, found)
(network,) = run.networks
segmenter = build_segmenter(config, network, len(run.classes))
for variable in segmenter.variables:
    if len(variable.shape) > 1:
        few = seeded.seeded(variable.name, (997,)) * (3 / np.prod(variable.shape[:-1])) ** 0.5
        variable.assign(np.resize(few, variable.shape).astype(np.float32))
state = {"metrics": {}, "best_score": None}
Checkpoints(run.network_directory(network) / "checkpoints").save({"segmenter": segmenter}, step=10, state=state)
version = export.export([run.directory], folder / "model")
image, _ = prepared.scene(np.random.default_rng(0), 65, 129, 0.0)
served = tf.saved_model.load(str(version)).signatures["serving_default"]
(labels,) = served(**{next(iter(served.structured_input_signature[1])): tf.constant(image[None])}).values()
Image.fromarray(labels.numpy()[0]).save(folder / "labels.png")

with tarfile.open(sys.argv[1], "w:xz") as archive:
    for name in ("data/town", "model/1", "labels.png"):
        archive.add(folder / name, name)
print(np.unique(labels.numpy(), return_counts=True))
