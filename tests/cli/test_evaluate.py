"""`msda-tf evaluate`, from the command line to metrics.json."""

import json
import os

import command
import cv2
import fresh_runs
import numpy as np
import prepared
import pytest
import tensorflow as tf

from msda_tf import config as configuration
from msda_tf import lock, train
from msda_tf.data import manifest as manifests
from msda_tf.data import pipeline
from msda_tf.inference import scoring
from msda_tf.runs import trained


def evaluate(*arguments):
    """The command's exit code."""
    return command.exit_code("evaluate", *arguments)


@pytest.fixture(scope="module")
def no_adapt_run(prepared_data, tmp_path_factory):
    """A run without adaptation, with random weights."""
    directory = tmp_path_factory.mktemp("runs") / "plain"
    return fresh_runs.write(directory, prepared_data, layout="s-all", method="supervised", seed=3)


def upsampled(maps, height, width):
    """Align-corners bilinear up-sampling of `[h, w, C]` by two matrix products."""

    def matrix(large, small):
        position = np.linspace(0, small - 1, large)
        return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(small)[None]))

    return np.einsum("yh,xw,hwc->yxc", matrix(height, maps.shape[0]), matrix(width, maps.shape[1]), maps)


def softmax(scores):
    exponents = np.exp(scores - scores.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def expected_matrices(run):
    """Confusion matrices of every branch and merge, in NumPy from the networks' logits."""
    members = trained.load([run.directory]).inference.members
    manifest = manifests.find(run.config.data, run.config.target)
    matrices = {}
    for example in pipeline.evaluation_images(manifest, "test"):
        label = example["label"].numpy()
        images = tf.cast(example["image"][None], tf.float32) - np.float32(run.mean_rgb)
        scores = {}
        for member in members:
            for name, maps in member.segmenter(images)["output"].items():
                scores[name] = upsampled(maps.numpy()[0].astype(float), *label.shape)
        logits = np.array(list(scores.values()))
        scores |= {"Max Merge": logits.max(0), "Max Probability": softmax(logits).max(0)}
        scores["Mean Probability"] = softmax(logits).mean(0)
        for name, score in scores.items():
            valid = label != 255
            matrix = matrices.setdefault(name, np.zeros((19, 19), int))
            np.add.at(matrix, (label[valid], score.argmax(-1)[valid]), 1)
    return matrices


def test_tables_and_metrics_equal_a_numpy_evaluation(trained_run, no_adapt_run, capsys):
    """All columns of the paper's table, all merge rules and panels, in one pass."""
    runs = ["--run", trained_run.directory, "--run", no_adapt_run.directory]
    assert evaluate(*runs, "--merge", "all", "--pictures", 2) == 0
    written = json.loads((trained_run.directory / "metrics.json").read_text())
    assert (written["target"], written["split"], written["images"]) == ("cityscapes", "test", 3)
    assert written["resolution"] == {"sizes": {"129x65": 3}, "prepared_at": None}
    branches = written["branches"]
    assert list(branches)[:5] == ["No Adapt", "S1", "S2", "S-All", "Max Merge"]
    for name, expected in expected_matrices(trained_run).items():
        counted, entry = np.array(branches[name]["confusion"]), branches[name]
        # Float rounding may tip a pixel in a thousand over.
        assert np.abs(counted - expected).sum() <= 0.002 * expected.sum(), name
        assert counted.sum() == 3 * 63 * 129
        union = counted.sum(0) + counted.sum(1) - counted.diagonal()
        iou = np.where(union > 0, counted.diagonal() / np.maximum(union, 1), 0)
        assert entry["miou_19"] == pytest.approx(iou.mean())
        assert entry["miou_present"] == pytest.approx(iou[union > 0].mean())
    assert branches["Max Merge"] != branches["Mean Probability"]
    assert not (no_adapt_run.directory / "metrics.json").exists()

    lines = capsys.readouterr().out.splitlines()
    percent = {name: f"{100 * entry['miou_19']:.2f}" for name, entry in branches.items()}

    def row(name):
        (line,) = [line for line in lines if line.startswith(name)]
        return [value.rstrip("*") for value in line.removeprefix(name).split()]

    assert "Mean IoU on cityscapes, test, 3 images of 129x65" in lines
    assert row("mIoU, all 19 classes") == [percent[name] for name in list(branches)[:5]]
    assert row("mean-probability") == [percent["Mean Probability"], percent["Mean Probability at map"]]
    assert "S1: trained on gta5" in lines and "No Adapt: trained on gta5 + synthia" in lines
    assert "Max Merge: max-logit of S1, S2, S-All, for each pixel of the image" in lines

    panels = sorted((trained_run.directory / "pictures").glob("*.png"))
    assert [path.name for path in panels] == ["00000-0000.png", "00001-0001.png"]
    assert cv2.imread(str(panels[0])).shape[1] > 400


def test_one_branch_some_images_fewer_classes(no_adapt_run, tmp_path, capsys):
    """A run without adaptation alone is scored, too; nothing is merged."""
    output = tmp_path / "metrics.json"
    options = ["--json", output, "--limit", 2, "--protocol", "16", "--subset-rule", "drop-pixels"]
    assert evaluate("--run", no_adapt_run.directory, *options) == 0
    written = json.loads(output.read_text())
    assert list(written["branches"]) == ["No Adapt"] and written["images"] == 2
    printed = capsys.readouterr().out
    assert "mIoU, all 16 classes" in printed and "drop-pixels" in printed
    assert not (no_adapt_run.directory / "metrics.json").exists()


def test_one_process_at_a_time_writes_panels(no_adapt_run, tmp_path, capsys):
    ask = ["--run", no_adapt_run.directory, "--json", tmp_path / "m.json", "--limit", 1]
    with lock.hold(no_adapt_run.paths.pictures, "msda-tf evaluate"):
        assert evaluate(*ask, "--pictures", 1) == 1
        assert f"{no_adapt_run.paths.pictures} is being written by msda-tf evaluate" in capsys.readouterr().err
    assert evaluate(*ask, "--pictures", 1) == 0
    assert [path.name for path in no_adapt_run.paths.pictures.iterdir()] == ["00000-0000.png"]


def test_names_of_images_are_bytes(tmp_path, capsys):
    """Latin-1 and escape codes, from shards through training and scoring."""
    name = os.fsdecode(b"stra\xdfe\n\x1b[31m ")
    for seed, each in enumerate(("gta5", "cityscapes")):
        prepared.write(tmp_path, each, seed=seed, prefix=name)
    settings = {"target": "cityscapes", "sources": "gta5", "data": str(tmp_path), "steps": 1, "layout": "s-all"}
    settings |= {"evaluate_every": 0, "aspp_rates": [2], "method": "supervised"}
    run = train.train(configuration.resolve(preset="tiny", settings=settings)[0], tmp_path / "run")
    capsys.readouterr()
    assert evaluate("--run", run.directory, "--pictures", 1) == 0
    assert [path.name for path in run.paths.pictures.iterdir()] == [f"00000-{name}0000.png"]
    assert "\x1b" not in capsys.readouterr().out


def test_bad_input_ends_in_one_line(trained_run, prepared_data, tmp_path, capsys):
    run = ["--run", trained_run.directory]
    empty = fresh_runs.write(tmp_path / "empty", prepared_data, weights=False)
    other = fresh_runs.write(tmp_path / "other", prepared_data, weights=False, target="synthia")
    capsys.readouterr()
    for arguments, message in (
        (["--run", tmp_path], f"{tmp_path} is not a run directory"),
        (["--run", empty.directory], "has no checkpoint"),
        ([*run, "--run", other.directory], "only runs for the same target"),
        ([*run, "--split", "val"], "split 'val' of 'cityscapes' does not exist"),
        ([*run, "--data", tmp_path], "is not prepared"),
        ([*run, "--protocol", "road,tram"], "no class 'tram'"),
        ([*run, "--limit", "0"], "--limit"),
        ([*run, "--json", tmp_path / "none/m.json"], "m.json cannot be written: there is no folder"),
        ([], "--run"),
    ):
        assert evaluate(*arguments) == 2, message
        printed = capsys.readouterr()
        (line,) = [line for line in printed.err.splitlines() if line.startswith("msda-tf: ")]
        assert message in line, line
        assert "Traceback" not in printed.err and not printed.out


def test_classes_that_are_never_predicted_are_named(no_adapt_run, monkeypatch, capsys, tmp_path):
    """Of six classes that the labels show, two are predicted."""
    matrix = np.zeros((19, 20), np.int64)
    matrix[:5, 0], matrix[1, 1], matrix[7, 9] = 10, 5, 1
    monkeypatch.setattr(scoring, "score", lambda *_, **__: {"No Adapt": matrix})
    code, printed, _ = command.run(capsys, "evaluate", "--run", no_adapt_run.directory, "--json", tmp_path / "m.json")
    lost = "building, wall, fence, traffic sign"
    assert code == 0 and f"No Adapt gives no pixel to {lost}, which the labels of cityscapes show" in printed
