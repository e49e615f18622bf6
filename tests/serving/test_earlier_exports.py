"""What the oldest promised revision prepared and exported: tests/golden/make_archive.py says how it was made."""

import io
import json
import pathlib
import tarfile

import command
import numpy as np
import prepared
import pytest
import stub_server
from PIL import Image

from msda_tf.data import manifest as manifests
from msda_tf.data import pipeline
from msda_tf.labels import CITYSCAPES_CLASSES

ARCHIVE = pathlib.Path(__file__).parents[1] / "golden" / "released_66212a6.tar.xz"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def scene(number):
    return prepared.scene(np.random.default_rng(number), 65, 129, 0.0)


def test_a_data_set_is_read_to_the_pixel(released, capsys):
    manifest = manifests.find(released / "data", "town")
    assert (manifest.training_split, manifest.evaluation_split) == ("train", "val")
    assert manifest.classes == CITYSCAPES_CLASSES and (manifest.height, manifest.width) == (65, 129)
    assert manifest.scale == 1.0
    numbers = {"val": [0], "train": [1, 2, 3]}
    for split, own in numbers.items():
        examples = list(pipeline.evaluation_images(manifest, split))
        assert len(examples) == len(own)
        for number, example in zip(own, examples, strict=True):
            image, label = scene(number)
            np.testing.assert_array_equal(example["image"], image)
            np.testing.assert_array_equal(example["label"], label)
    ask = ["prepare", "--dataset", "gta5", "--name", "town", "--output", released / "data", "--verify"]
    code, printed, error = command.run(capsys, *ask)
    assert code == 0 and "4 images verified" in printed, error
    code, printed, _ = command.run(capsys, "inspect", released / "data" / "town", "--images", 1)
    assert code == 0 and "129x65 pixels, 19 classes" in printed


def test_todays_client_asks_a_model_that_was_exported_then(released, tmp_path, capsys):
    image, _ = scene(0)
    Image.fromarray(image).save(tmp_path / "scene.png")
    with stub_server.rest(stub_server.Model(released / "model" / "1")) as url:
        ask = ["query", "--url", url, "--input", tmp_path / "scene.png", "--output", tmp_path / "out"]
        code, _, error = command.run(capsys, *ask)
    assert code == 0, error
    expected = np.asarray(Image.open(released / "labels.png"))
    found = np.asarray(Image.open(io.BytesIO((tmp_path / "out" / "labels" / "scene.png").read_bytes())))
    assert len(np.unique(expected)) > 5
    # Float rounding differs between processors: a pixel in a thousand may tip over.
    assert (found != expected).mean() < 0.001
    metadata = json.loads((released / "model" / "1" / "assets.extra" / "metadata.json").read_text())
    assert [each["name"] for each in metadata["classes"]] == list(CITYSCAPES_CLASSES.names)
