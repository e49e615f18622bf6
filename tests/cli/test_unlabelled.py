"""A target that nobody labelled, from a film and photographs to a served model: no label is there to be read."""

import json
import os

import command
import cv2
import numpy as np
import prepared
import pytest
import stub_server
import tensorflow as tf
from PIL import Image


def scene(seed):
    return prepared.scene(np.random.default_rng(seed), 65, 129, -30.0)[0]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Photographs in sub-folders, and a film of twelve frames in a second and a half."""
    folder = tmp_path_factory.mktemp("raw")
    for seed in range(4):
        path = folder / "photographs" / f"day{seed % 2}" / f"{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(seed)).save(path, quality=95)
    film = cv2.VideoWriter(str(folder / "drive.mp4"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 8, (128, 64))
    for seed in range(12):
        film.write(np.ascontiguousarray(scene(seed)[:64, :128, ::-1]))
    film.release()
    return folder


def test_from_frames_to_a_server_without_one_label(raw, prepared_data, tmp_path, capsys):
    def run(*words, code=0):
        found, printed, error = command.run(capsys, *words)
        assert found == code, error
        return printed

    data, run_folder = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for name in ("gta5", "synthia"):
        os.symlink(prepared_data / name, data / name)
    printed = run("prepare", "--dataset", "folder", "--raw", raw / "photographs", "--name", "walk", "--output", data)
    assert "no labels" in printed
    ask = ["prepare", "--dataset", "folder", "--raw", raw / "drive.mp4", "--name", "drive", "--output", data]
    printed = run(*ask, "--every", "0.5")
    assert "3 frames of drive.mp4, one every 4 of 12" in printed

    settings = ["steps=2", "layout=joint", "aspp_rates=[2]", "evaluate_every=2", "evaluate_images=1"]
    settings += ["select=unlabelled", "checkpoint_every=2"]
    train = ["train", "--preset", "tiny", "--target", "drive", "--sources", "gta5,synthia", "--data", data]
    for setting in settings:
        train += ["--set", setting]
    printed = run(*train, "--run", run_folder)
    assert "mIoU" not in printed.replace("estimated mIoU", "")  # nothing was scored

    printed = run("evaluate", "--run", run_folder, "--pictures", 1)
    assert "Estimated without labels on drive, train, 3 images of 128x64" in printed
    assert not (run_folder / "metrics.json").exists()
    assert json.loads((run_folder / "estimate.json").read_text())["labels_read"] is False
    assert len(list((run_folder / "pictures").iterdir())) == 1

    page = tmp_path / "report.html"
    run("report", "--run", run_folder, "--output", page, "--gallery", 2)
    text = page.read_text()
    written = json.loads(page.with_suffix(".json").read_text())
    assert written["labels_read"] is False and written["images"] == 3
    merged = written["estimates"]["Max Merge"]
    headline = f"Max Merge is expected to reach {100 * merged['miou']:.1f} ± {100 * merged['error']:.1f} % mean IoU"
    assert "<strong>An estimate, no score:</strong>" in text and headline in text
    assert text.count("% disputed") == 2 and "Disagreement of drive-" in text
    for misleading in ("Truth", "IoU of each class", "Confusion", "selected on the target"):
        assert misleading not in text[text.index("<main>") : text.index("<script>")], misleading

    run("export", "--run", run_folder, "--output", tmp_path / "model")
    (version,) = (tmp_path / "model").iterdir()
    with stub_server.rest(stub_server.Model(version)) as url:
        run("query", "--url", url, "--input", raw / "photographs", "--output", tmp_path / "results")
    labels = tf.io.decode_png((tmp_path / "results" / "labels" / "day0" / "0.png").read_bytes())
    assert labels.shape == (65, 129, 1) and int(tf.reduce_max(labels)) < 19


def test_frames_of_a_film(raw, tmp_path, capsys):
    ask = ["prepare", "--dataset", "folder", "--name", "drive", "--output", tmp_path / "data"]
    assert command.run(capsys, *ask, "--raw", raw / "drive.mp4")[0] == 0
    frames = sorted(path.name for path in (tmp_path / "data" / "raw" / "drive").glob("*.png"))
    assert frames == ["drive-000000.png", "drive-000008.png"]
    kept = cv2.imread(str(tmp_path / "data" / "raw" / "drive" / frames[1]))[..., ::-1].astype(int)
    assert np.abs(kept - scene(8)[:64, :128]).mean() < 8  # the right frame, in the right order of colours
    code, printed, _ = command.run(capsys, *ask, "--raw", raw / "drive.mp4")
    assert code == 0 and "nothing had to be done" in printed and "2 frames of drive.mp4" in printed
    code, _, error = command.run(capsys, *ask, "--raw", raw / "drive.mp4", "--every", "0.25")
    assert code == 2 and "at other times (every 1.0, now 0.25)" in error
    code, printed, _ = command.run(capsys, *ask, "--raw", raw / "drive.mp4", "--every", "0.25", "--force")
    assert code == 0 and "6 frames of drive.mp4" in printed


def test_what_is_no_film_is_refused_in_a_line(raw, tmp_path, capsys):
    ask = ["prepare", "--dataset", "folder", "--name", "drive", "--output", tmp_path / "data", "--raw"]
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 1000)
    code, _, error = command.run(capsys, *ask, tmp_path / "broken.mp4")
    assert code == 1 and "cannot be read as a video" in error
    assert not list((tmp_path / "data" / "raw").glob("*drive*"))
    code, _, error = command.run(capsys, *ask, raw / "photographs", "--every", "2")
    assert code == 2 and "is no film" in error
    (tmp_path / "notes.txt").write_text("no film")
    code, _, error = command.run(capsys, *ask, tmp_path / "notes.txt")
    assert code == 2 and "is not a folder: expected one of PNG or JPEG images" in error
