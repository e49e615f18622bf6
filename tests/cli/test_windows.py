"""`--window` and `window` in a run's settings: evaluate, predict and export see the same windows, and say so."""

import json

import command
import cv2
import fresh_runs
import numpy as np
import prepared
import pytest
import tensorflow as tf

from msda_tf import runs
from msda_tf.evaluation import metrics
from msda_tf.runs import listing, trained
from msda_tf.serving import metadata


@pytest.fixture(scope="module")
def run(prepared_data, tmp_path_factory):
    """One network with one branch and random weights."""
    return fresh_runs.write(tmp_path_factory.mktemp("runs") / "all", prepared_data, layout="s-all")


def done(capsys, *arguments):
    """What a command that must succeed prints."""
    code, output, errors = command.run(capsys, *arguments)
    assert code == 0, errors
    return output


def test_evaluate(run, tmp_path, capsys):
    found = {}
    for window in (None, "4000x4000", "64x32"):
        asked = ["--window", window] if window else []
        output = done(capsys, "evaluate", "--run", run.directory, "--json", tmp_path / "m.json", *asked)
        assert (f"images pass in windows of {window} pixels of its input" in output) == bool(window)
        (scored,) = metrics.read_all(tmp_path / "m.json")
        found[window] = scored.matrices["S-All"]
        (weights,) = scored.made_from["networks"]
        assert weights.get("window") == {None: None, "4000x4000": [4000, 4000], "64x32": [32, 64]}[window]
    done(capsys, "evaluate", "--run", run.directory, "--window", "64x32")
    assert "in windows of 64x32" in listing.summary(run.directory).scored
    np.testing.assert_array_equal(found["4000x4000"], found[None])
    assert (found["64x32"] != found[None]).any() and found["64x32"].sum() == found[None].sum()


def test_predict_and_export_see_the_same_and_the_runs_own_setting_is_that_of_the_option(run, tmp_path, capsys):
    image, _ = prepared.scene(np.random.default_rng(0), 65, 129, -30)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    labels = {}
    for window in (None, "48x40"):
        output = tmp_path / f"out-{window}"
        asked = ["--input", tmp_path / "a.png", "--output", output, "--outputs", "labels"]
        asked += ["--window", window] if window else []
        done(capsys, "predict", "--run", run.directory, *asked)
        labels[window] = cv2.imread(str(output / "labels/a.png"), cv2.IMREAD_UNCHANGED)
    assert (labels[None] != labels["48x40"]).any()

    # Results of other windows are others.
    asked = ["--input", tmp_path / "a.png", "--output", tmp_path / "out-48x40", "--outputs", "labels", "--resume"]
    code, _, errors = command.run(capsys, "predict", "--run", run.directory, *asked)
    assert code == 2 and "windows [[40, 48]]" in errors and "windows None" in errors
    assert "the results of 1 were there" in done(capsys, "predict", "--run", run.directory, *asked, "--window", "48x40")

    done(capsys, "export", "--run", run.directory, "--output", tmp_path / "model", "--window", "48x40")
    served = tf.saved_model.load(str(tmp_path / "model/1")).signatures["serving_default"]
    np.testing.assert_array_equal(served(images=tf.constant(image[None]))["label_map"][0], labels["48x40"])
    told = json.loads((tmp_path / "model/1/assets.extra" / metadata.FILE_NAME).read_text())
    assert told["inputs_of_networks"][0]["window"] == [40, 48]

    config = run.directory / "config.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("window: null", "window: [48, 40]"))
        assert runs.read(run.directory).config.window == (48, 40)
        (member,) = trained.load([run.directory]).inference.members
        assert member.window == (40, 48)
    finally:
        config.write_text(text)


@pytest.mark.parametrize(
    ("window", "message"),
    [("8x100", "windows of 8x100 pixels are too small: expected at least 32x32"), ("64", "is no size")],
)
def test_bad_input_is_one_line(run, tmp_path, capsys, window, message):
    code, _, errors = command.run(capsys, "evaluate", "--run", run.directory, "--window", window)
    assert code == 2 and message in errors and errors.count("\n") == 1
