"""predict on Beam writes what it writes on one machine, and goes on where it stopped."""

import json
import shutil

import cv2
import numpy as np
import prepared
import pytest
from beam_jobs import TWO, spread_deadly, workers_find_this
from command import run

from msda_tf import predict as predicting
from msda_tf.predict import predict
from msda_tf.remote import cache

pytest.importorskip("apache_beam", reason="needs the extra beam")

__all__ = ["workers_find_this"]

OPTIONS = [part for flag in TWO.flags for part in ("--beam-option", flag.removeprefix("--"))]


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Images of two sizes, and two that are none."""
    root = tmp_path_factory.mktemp("frames")
    for number, size in enumerate([(65, 129), (65, 129), (33, 31), (64, 128), (65, 129)]):
        image, _ = prepared.scene(np.random.default_rng(number), *size, -30)
        path = root / ("town" if number % 2 else "") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1])
    (root / "broken.png").write_bytes((root / "0.png").read_bytes()[:500])
    (root / "town/text.jpg").write_text("no image")
    return root


def content(output):
    """Of pictures the bytes, of records the lines, which are in the order in which images were done, also again."""
    found = {}
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        data = path.read_bytes()
        found[path.relative_to(output)] = set(data.splitlines()) if path.suffix == ".jsonl" else data
    return found


def test_the_same_results_though_a_worker_dies_and_only_what_is_missing_again(
    trained_run, frames, tmp_path, monkeypatch, capsys, workers_find_this
):
    here, there = tmp_path / "here", tmp_path / "there"
    kinds = ("labels", "colors", "overlays", "confidence")
    alone = predict([trained_run.directory], frames, here, kinds=kinds)
    arguments = ("predict", "--run", trained_run.directory, "--input", frames, "--output", there)
    arguments += ("--outputs", ",".join(kinds), "--resume", "--runner", TWO.name)
    monkeypatch.setattr(predicting, "spread", spread_deadly(tmp_path / "died"))
    code, out, error = run(capsys, *arguments, *OPTIONS)
    assert (code, alone.done, "Segmented 5 images" in out) == (1, 5, True)
    assert (tmp_path / "died").exists()
    assert [line for line in error.splitlines() if str(frames) in line] == list(alone.failed)
    assert content(there) == content(here) and len(content(there)) == 4 * (5 + 1)

    (there / "colors/town/1.png").unlink()
    (there / "colors/town/.2.png.1.part").touch()  # as a killed process leaves it
    code, out, _ = run(capsys, *arguments)
    assert (code, "Segmented 1 images" in out, "the results of 4 were there" in out) == (1, True, True)
    assert content(there) == content(here)
    assert len(json.loads((there / "labels/predict.jsonl").read_text().splitlines()[0])["made_from"]["networks"]) >= 1


def test_a_video_has_no_parts(trained_run, tmp_path, capsys):
    (tmp_path / "drive.mp4").touch()
    arguments = ("--run", trained_run.directory, "--input", tmp_path / "drive.mp4", "--output", tmp_path / "out")
    code, _, error = run(capsys, "predict", *arguments, "--runner", "DirectRunner")
    assert code == 2 and "is a video, which is read from its beginning to its end: leave --runner out" in error


def test_from_and_to_elsewhere(trained_run, frames, tmp_path, monkeypatch, capsys, workers_find_this):
    monkeypatch.setenv("SHELF", str(tmp_path / "shelf"))
    shutil.copytree(frames, tmp_path / "shelf/in")
    (tmp_path / "shelf/in/town/text.jpg").unlink()
    predict([trained_run.directory], frames, tmp_path / "here", kinds=["labels"])
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    shutil.copytree(trained_run.directory, tmp_path / "shelf/runs/adapted")
    arguments = ["predict", "--run", "shelf://runs/adapted", "--input", "shelf://in", "--output", "shelf://out"]
    arguments += ["--outputs", "labels", "--resume", "--runner", "DirectRunner", "--beam-option", "beam_plugins=shelf"]
    code, out, error = run(capsys, *arguments)
    assert code == 1 and "Segmented 5 images into shelf://out/labels" in out
    assert "shelf://in/broken.png: truncated PNG" in error
    assert content(tmp_path / "shelf/out") == content(tmp_path / "here")

    (tmp_path / "shelf/in/broken.png").unlink()
    code, out, _ = run(capsys, *arguments)
    assert code == 0 and "Segmented 0 images" in out and "the results of 5 were there" in out
    code, _, error = run(capsys, *arguments, "--output", "shelf://in/results")
    assert code == 2 and "shelf://in/results lies in shelf://in: the next run would take results for data" in error
