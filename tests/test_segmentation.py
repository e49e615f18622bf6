"""`msda_tf.load(RUN).segment(IMAGE)`: the label maps of `msda-tf predict`, as objects."""

import io

import cv2
import fresh_runs
import numpy as np
import pytest
from command import exit_code as msda_tf
from PIL import Image
from seeded import seeded

import msda_tf as library
from msda_tf.errors import MsdaError, UsageError


@pytest.fixture(scope="module")
def run(prepared_data, tmp_path_factory):
    return fresh_runs.write(tmp_path_factory.mktemp("library") / "run", prepared_data, layout="joint")


@pytest.fixture(scope="module")
def model(run):
    return library.load(run.directory)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A file of 129x65 pixels."""
    coarse = (127 + 60 * seeded("photo", (9, 17, 3))).clip(0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("photo") / "a photo.png"
    Image.fromarray(cv2.resize(coarse, (129, 65), interpolation=cv2.INTER_CUBIC)).save(path)
    return path


def test_the_same_as_the_command(run, model, photo, tmp_path):
    assert (
        msda_tf("predict", "--run", run.directory, "--input", photo, "--output", tmp_path, "--outputs", "labels") == 0
    )
    found = model.segment(photo)
    np.testing.assert_array_equal(found.labels, np.asarray(Image.open(tmp_path / "labels" / photo.name)))
    found.save(tmp_path / "own.png")
    np.testing.assert_array_equal(found.labels, np.asarray(Image.open(tmp_path / "own.png")))
    assert found.confidence.shape == (65, 129) and 1 / 19 < found.confidence.min() <= found.confidence.max() <= 1


def test_paths_arrays_and_pil_images_are_the_same_image(model, photo):
    pixels = np.asarray(Image.open(photo))
    for image in (str(photo), pixels, Image.open(photo)):
        found = model.segment(image)
        np.testing.assert_array_equal(found.image, pixels)
        np.testing.assert_array_equal(found.labels, model.segment(photo).labels)
    for image, message in ((pixels / 255, "not float64"), (pixels[..., 0], "not uint8 [65, 129]"), (None, "NoneType")):
        with pytest.raises(UsageError, match=message.replace("[", r"\[")):
            model.segment(image)
    with pytest.raises(MsdaError, match="gone"):
        model.segment(photo.with_name("gone.png"))


def test_what_a_notebook_shows(model, photo):
    found = model.segment(photo)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found.png()))), found.panel())
    assert found.overlay().shape == (65, 129, 3)
    names = list(found.shares)
    assert sum(found.shares.values()) == pytest.approx(1) and found.shares[names[0]] == max(found.shares.values())
    assert found.shares[names[0]] == np.mean(found.labels == model.classes.names.index(names[0]))


def test_many_images(model, photo, capsys):
    (only,) = model.segment_all(photo.parent)
    np.testing.assert_array_equal(only.labels, model.segment(photo).labels)
    assert "segmenting" in capsys.readouterr().out
    assert list(model.segment_all([], progress=False)) == []


def test_branches_and_runs_are_chosen(run, photo):
    one = library.load([run.directory], branches=["S1"])
    assert one.networks.inference.merged == ("S1",) and "S1" in repr(one)
    with pytest.raises(UsageError, match="no run"):
        library.load(photo.parent)
