"""cross_source.json: written by training, made anew where it is needed, against a loop over the held-out images."""

import json
import shutil

import command
import fresh_runs
import keras
import numpy as np
import prepared
import pytest
import tensorflow as tf

from msda_tf import runs
from msda_tf.data import manifest as manifests
from msda_tf.data import pipeline
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation.confusion import confusion_matrix
from msda_tf.runs import cross_source, trained


@pytest.fixture(scope="module")
def joint(prepared_data, tmp_path_factory):
    return fresh_runs.write(tmp_path_factory.mktemp("runs") / "joint", prepared_data, layout="joint")


def test_training_leaves_it(trained_run):
    value = json.loads(trained_run.paths.cross_source.read_text())
    assert [(table["network"], table["step"]) for table in value["tables"]] == [("sources", 10), ("s-all", 10)]
    networks = trained.load([trained_run.directory])
    seen = {(branch, source): cell.seen for branch, row in networks.cells.items() for source, cell in row.items()}
    assert seen == {
        ("S1", "gta5"): True,
        ("S1", "synthia"): False,
        ("S2", "gta5"): False,
        ("S2", "synthia"): True,
        ("S-All", "gta5"): True,
        ("S-All", "synthia"): True,
    }
    found = networks.inference.calibrations
    assert [(name, found[name].basis) for name in found] == [("S1", "unseen"), ("S2", "unseen"), ("S-All", "shifted")]


def test_cells_equal_a_loop(joint, prepared_data):
    """Network, softmax and likelihood step by step, on the one image that nine allow to hold out."""
    networks = trained.load([joint.directory], calibrated=True)
    (member,) = networks.inference.members
    manifest = manifests.find(prepared_data, "synthia")
    (example,) = pipeline.held_out_images(manifest, 20)
    image, label = example["image"].numpy(), example["label"].numpy()
    inputs = image.astype(np.float32)[None] - np.float32(manifest.mean_rgb)
    maps = member.segmenter(tf.constant(inputs), branches=("S1",), levels=("output",), training=False)["output"]["S1"]
    logits = tf.raw_ops.ResizeBilinear(
        images=maps, size=[65, 129], align_corners=True, half_pixel_centers=False
    ).numpy()[0]
    cell = networks.cells["S1"]["synthia"]
    np.testing.assert_array_equal(cell.confusion, confusion_matrix(label, logits.argmax(-1), classes=19))
    # 65 x 129 pixels are more than are looked at: every second one of both axes is.
    known = label[::2, ::2] != 255
    chosen = logits[::2, ::2][known]
    nll = keras.losses.sparse_categorical_crossentropy(label[::2, ::2][known], chosen, from_logits=True)
    assert cell.nll[8] == pytest.approx(float(np.mean(nll)), rel=1e-4) and not cell.seen and cell.images == 1


def test_made_when_a_rule_needs_it(joint, tmp_path, prepared_data, monkeypatch):
    directory = tmp_path / "run"
    shutil.copytree(joint.directory, directory)
    path = runs.read(directory).paths.cross_source
    path.unlink(missing_ok=True)
    assert trained.load([directory]).cells == {}
    assert trained.load([directory], merge="weighted-probability").cells.keys() == {"S1", "S2", "S-All"}
    kept = path.read_text()
    monkeypatch.setattr(cross_source, "make", None)  # now it is there
    trained.load([directory], merge="weighted-probability")
    path.write_text(kept.replace("confusion", "confused"))
    with pytest.raises(MsdaError, match=r"cross_source.json is damaged \(confusion is missing\): remove it"):
        trained.load([directory])


def test_runs_without_held_out_images(tmp_path, prepared_data):
    run = fresh_runs.write(tmp_path / "run", prepared_data, layout="joint", held_out=0)
    assert trained.load([run.directory], calibrated=True).cells == {}
    with pytest.raises(UsageError, match="S1 was scored on none: train with held_out above 0, or use --merge"):
        trained.load([run.directory], merge="calibrated-probability")


def test_other_data_than_it_was_trained_on(tmp_path, prepared_data):
    data = tmp_path / "data"
    shutil.copytree(prepared_data, data)
    run = fresh_runs.write(tmp_path / "run", data, layout="joint")
    path = data / "synthia" / "dataset.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UsageError, match="synthia is not the data set that .*run was trained on"):
        trained.load([run.directory], merge="calibrated-probability")


def test_export_gives_what_predict_gives(joint, tmp_path, capsys):
    """The constants are in the export: it runs without the project and without the sources."""
    generator = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.png").write_bytes(prepared.png(prepared.scene(generator, 65, 129, 20.0)[0]))
    rule = ("--run", joint.directory, "--merge", "class-weighted-probability")
    assert command.exit_code("predict", *rule, "--input", tmp_path / "in", "--output", tmp_path / "out") == 0
    assert command.exit_code("export", *rule, "--output", tmp_path / "model") == 0
    model = tf.saved_model.load(str(tmp_path / "model" / "1")).signatures["serving_default"]
    inference = trained.load([joint.directory], merge="max-logit").inference
    differs = 0
    for number in range(3):
        image = tf.io.decode_png((tmp_path / "in" / f"{number}.png").read_bytes())[None]
        expected = tf.io.decode_png((tmp_path / "out" / "labels" / f"{number}.png").read_bytes())[..., 0]
        np.testing.assert_array_equal(model(images=image)["label_map"][0], expected)
        differs += int((inference.segment(image)[0] != expected).numpy().sum())
    assert differs > 100  # it is not the paper's merge
    written = json.loads((tmp_path / "model" / "1" / "assets.extra" / "metadata.json").read_text())
    assert written["shares"].keys() == {"S1", "S2", "S-All"}
    weights = [share["weights"] for share in written["shares"].values()]
    np.testing.assert_allclose(np.sum(weights, axis=0), 1)


def test_all_rules_and_the_table_are_printed(trained_run, capsys, tmp_path):
    options = ("evaluate", "--run", trained_run.directory, "--limit", 1, "--json", tmp_path / "metrics.json")
    code, printed, _ = command.run(capsys, *options, "--merge", "all")
    assert code == 0
    for line in ("class-weighted-probability", "Every branch on the held-out images", "S1: temperature", "made worse"):
        assert line in printed
    code, printed, _ = command.run(capsys, *options, "--merge", "weighted-probability")
    assert code == 0
    assert "Max Logit: the paper's merge" in printed and "Max Merge: weighted-probability of S1, S2, S-All" in printed
