"""Estimates without labels through the command: what is printed and written, and that no label is read for it."""

import json
import os
import shutil

import command
import fresh_runs
import numpy as np
import prepared
import pytest
from PIL import Image

from msda_tf import config as configuration
from msda_tf import estimate, files, lock, train
from msda_tf.data import manifest as manifests
from msda_tf.data import records, tfrecord
from msda_tf.runs import trained
from msda_tf.training import log
from msda_tf.training.checkpoints import Checkpoints

BRANCHES = ["S1", "S2", "S-All", "Max Merge"]


@pytest.fixture(scope="module")
def unlabelled_data(prepared_data, tmp_path_factory):
    """The sources, and a target `dashcam` that nobody labelled."""
    data = tmp_path_factory.mktemp("unlabelled")
    for name in ("gta5", "synthia"):
        os.symlink(prepared_data / name, data / name)
    prepared.write(data, "dashcam", shift=-30.0, seed=5, labelled=False)
    return data


@pytest.fixture(scope="module")
def run(unlabelled_data, tmp_path_factory):
    """Trained for ten steps, two checkpoints of which the one with the higher estimate is used."""
    settings = {"target": "dashcam", "sources": ["gta5", "synthia"], "data": str(unlabelled_data), "steps": 10}
    settings |= {"layout": "joint", "aspp_rates": [2, 4], "evaluate_every": 5, "evaluate_images": 2}
    settings |= {"select": "unlabelled", "keep_checkpoints": 1, "checkpoint_every": 5}
    config, _ = configuration.resolve(preset="tiny", settings=settings)
    return train.train(config, tmp_path_factory.mktemp("runs") / "dashcam")


def test_while_training_and_at_its_end(run):
    (network,) = run.networks
    rows = {row.step: row.values for row in log.read(run.folder(network).log) if "estimate/Max Merge" in row.values}
    assert list(rows) == [0, 5, 10] and all(
        0 < rows[step][f"estimate/{name}"] < 1 for step in rows for name in BRANCHES
    )
    chosen = max((5, 10), key=lambda step: rows[step]["estimate/Max Merge"])
    checkpoints = Checkpoints(run.folder(network).checkpoints)
    assert (
        checkpoints.unlabelled() == chosen and checkpoints.best() is None and set(checkpoints.steps()) == {chosen, 10}
    )
    networks = trained.load([run.directory])
    assert networks.checkpoints[0].step == chosen
    (note,) = networks.notes()
    assert "selected by its estimate, without the target's labels" in note


def test_evaluate_prints_an_estimate_and_draws(run, capsys):
    code, printed, _ = command.run(capsys, "evaluate", "--run", run.directory, "--pictures", 1, "--limit", 2)
    assert code == 0
    for line in (
        "Estimated without labels on dashcam, train, 2 images of 129x65",
        "no label of the target was read",
        "S2",
        "ATC",
    ):
        assert line in printed
    written = json.loads(run.paths.estimate.read_text())
    assert list(written["estimates"]) == [*BRANCHES, "Max Logit"]  # the paper's rule beside the preset's
    assert written["labels_read"] is False and written["images"] == 2
    assert written["resolution"]["sizes"] == {"129x65": 2}
    found = written["estimates"]["S1"]
    assert f"{100 * found['miou']:.1f} ± {100 * found['error']:.1f}" in printed
    (picture,) = run.paths.pictures.iterdir()
    with lock.hold(run.paths.pictures, "msda-tf evaluate"):
        code, _, error = command.run(capsys, "evaluate", "--run", run.directory, "--pictures", 1, "--limit", 1)
    assert code == 1 and f"{run.paths.pictures} is being written by msda-tf evaluate" in error
    assert np.asarray(Image.open(picture)).ndim == 3
    code, printed, _ = command.run(capsys, "runs", run.directory.parent, "--json")
    (listed,) = [each for each in json.loads(printed) if each["directory"] == str(run.directory)]
    merged = written["estimates"]["Max Merge"]
    figures = f"estimated {100 * merged['miou']:.1f} ± {100 * merged['error']:.1f} % without labels"
    assert listed["miou"] is None and listed["scored"] == f"{figures}: Max Merge, 2 images of train at 129x65"
    page = run.directory.parent / "page.html"
    code, _, error = command.run(capsys, "report", "--last-and-best", "--run", run.directory, "--output", page)
    assert code == 2 and "dashcam has no labels, by which runs are compared" in error
    code, _, error = command.run(capsys, "evaluate", "--run", run.directory, "--merge", "all")
    assert code == 2 and "compares rules by labels" in error


def test_labels_that_are_there_play_no_part(prepared_data, tmp_path, capsys):
    """With every label of the target exchanged for another, the estimate is the same to the bit, and scores are not."""
    data = tmp_path / "data"
    shutil.copytree(prepared_data, data)
    run = fresh_runs.write(tmp_path / "run", data, layout="joint")
    before = estimate.estimate([run.directory], limit=2)
    manifest = manifests.read(data / "cityscapes")
    shards = {}
    for shard in {shard.file for split in manifest.splits.values() for shard in split.shards}:
        path = data / "cityscapes" / shard
        payloads = [records.from_example(payload) for payload in tfrecord.read(path)]
        broken = [vars(each) | {"label": b"no PNG at all"} for each in payloads]
        path.write_bytes(b"".join(tfrecord.frame(records.to_example(records.Record(**each))) for each in broken))
        shards[shard] = manifests.Shard(shard, len(broken), path.stat().st_size, files.sha256(path))
    text = json.loads((data / "cityscapes" / "dataset.json").read_text())
    for split in text["splits"].values():
        split["shards"] = [vars(shards[shard["file"]]) for shard in split["shards"]]
    (data / "cityscapes" / "dataset.json").write_text(json.dumps(text))
    after = estimate.estimate([run.directory], data=data, limit=2)
    assert after.estimates == before.estimates
    code, printed, _ = command.run(
        capsys, "evaluate", "--run", run.directory, "--data", data, "--unlabelled", "--limit", 2
    )
    assert code == 0 and "scored on data that is not what the networks were adapted to" in printed
    code, _, error = command.run(capsys, "evaluate", "--run", run.directory, "--data", data, "--limit", 2)
    assert code == 1 and "cannot be decoded" in error or "does not fit" in error


def test_a_run_without_held_out_images_says_what_it_needs(unlabelled_data, tmp_path, capsys):
    options = {"target": "dashcam", "sources": ["gta5"], "layout": "s-all"}
    run = fresh_runs.write(tmp_path / "run", unlabelled_data, held_out=0, **options)
    code, _, error = command.run(capsys, "evaluate", "--run", run.directory)
    assert code == 2 and "no labelled images" in error and "train with held_out above 0" in error
    code, _, error = command.run(capsys, "evaluate", "--run", run.directory, "--select", "unlabelled")
    assert code == 2 and "held-out images to estimate by" in error


def test_one_source_gives_an_estimate_that_says_it_is_too_high(unlabelled_data, tmp_path, capsys):
    options = {"target": "dashcam", "sources": ["gta5"], "layout": "s-all"}
    run = fresh_runs.write(tmp_path / "run", unlabelled_data, **options)
    code, printed, _ = command.run(capsys, "evaluate", "--run", run.directory, "--limit", 1)
    assert code == 0 and "S-All: no source is unseen" in printed and "expect less than estimated" in printed
