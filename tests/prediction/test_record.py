"""`predict --resume`: what is there is kept only if it was made from the same weights and the same image."""

import json
import os
import shutil

import command
import cv2
import fresh_runs
import numpy as np
import prepared
import pytest

from msda_tf.prediction import record


@pytest.fixture(scope="module")
def two_runs(prepared_data, tmp_path_factory):
    """Two runs of the same settings with other random weights."""
    root = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "two")):
        fresh_runs.write(root / name, prepared_data, layout="s-all", seed=seed)
    return root / "one", root / "two"


@pytest.fixture
def folder(tmp_path):
    """Three small images; not in the folder of results."""
    (tmp_path / "in" / "town").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "town/b.png", "stra\udcdfe.png")):
        image, _ = prepared.scene(np.random.default_rng(seed), 33, 65, -30)
        encoded = cv2.imencode(".png", image)[1].tobytes()
        with open(os.fsencode(tmp_path / "in" / name), "wb") as file:
            file.write(encoded)
    return tmp_path / "in"


@pytest.fixture
def predict(folder, tmp_path, capsys):
    """Gives a function of a run and further options: (exit code, images done, output, error line)."""

    def predict(run, *options, source=folder, output=tmp_path / "out"):
        arguments = ["--run", run, "--input", source, "--output", output, *options]
        code, out, err = command.run(capsys, "predict", *arguments)
        done = next((int(line.split()[1]) for line in out.splitlines() if line.startswith("Segmented")), None)
        return code, done, out, err

    return predict


def contents(tmp_path):
    return {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.png"))}


def test_results_say_what_they_were_made_from(two_runs, predict, tmp_path):
    assert predict(two_runs[0])[:2] == (0, 3)
    for kind in ("labels", "colors", "overlays"):
        head, *lines = map(json.loads, (tmp_path / "out" / kind / "predict.jsonl").read_text().splitlines())
        (network,) = head["made_from"]["networks"]
        assert network["network"] == "one/networks/s-all" and network["step"] == 10
        assert len(network["checkpoint_sha256"]) == 64 and set(head["data_sets"]) == {"cityscapes", "gta5", "synthia"}
        assert sorted(line["result"] for line in lines) == ["a.png", "stra\udcdfe.png", "town/b.png"]


def test_another_runs_results_are_refused(two_runs, predict, tmp_path):
    predict(two_runs[0])
    before = contents(tmp_path)
    code, _, _, error = predict(two_runs[1], "--resume")
    assert code == 2 and "holds results made from one/networks/s-all at step 10" in error
    assert "two/networks/s-all at step 10" in error and "leave --resume out" in error
    assert contents(tmp_path) == before
    # Other ways to merge or look, too; the same run goes on.
    assert predict(two_runs[0], "--resume", "--tta", "flip")[0] == 2
    assert predict(two_runs[0], "--resume", "--merge", "mean-probability")[0] == 2
    assert predict(two_runs[0], "--resume")[:2] == (0, 0)
    # Without --resume, as ever.
    assert predict(two_runs[1])[:2] == (0, 3)
    assert contents(tmp_path) != before
    assert predict(two_runs[1], "--resume")[:2] == (0, 0)


def test_the_same_step_of_a_run_that_was_trained_again(two_runs, predict, tmp_path):
    shutil.copytree(two_runs[0], tmp_path / "one")
    predict(tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    shutil.copytree(two_runs[1], tmp_path / "one")
    code, _, _, error = predict(tmp_path / "one", "--resume")
    assert code == 2 and "its weights are others" in error


def test_a_run_that_was_moved_is_the_same(two_runs, predict, tmp_path):
    predict(two_runs[0])
    shutil.copytree(two_runs[0], tmp_path / "moved")
    assert predict(tmp_path / "moved", "--resume")[:2] == (0, 0)


def test_an_image_that_changed_is_segmented_again(two_runs, predict, folder, tmp_path):
    predict(two_runs[0])
    stamp = (folder / "a.png").stat()
    shutil.copy(folder / "town" / "b.png", folder / "a.png")
    os.utime(folder / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    code, done, out, _ = predict(two_runs[0], "--resume")
    assert (code, done) == (0, 1) and "the results of 2 were there" in out
    assert (tmp_path / "out/labels/a.png").read_bytes() == (tmp_path / "out/labels/town/b.png").read_bytes()


def test_another_folder_with_the_same_names(two_runs, predict, folder, tmp_path):
    predict(two_runs[0])
    shutil.copytree(folder, tmp_path / "other")
    shutil.copy(folder / "town" / "b.png", tmp_path / "other" / "a.png")
    assert predict(two_runs[0], "--resume", source=tmp_path / "other")[:2] == (0, 1)


def test_further_kinds_and_missing_results_are_made(two_runs, predict, tmp_path):
    predict(two_runs[0], "--outputs", "labels")
    (tmp_path / "out/labels/a.png").unlink()
    assert predict(two_runs[0], "--outputs", "labels", "--resume")[:2] == (0, 1)
    assert predict(two_runs[0], "--outputs", "labels,colors", "--resume")[:2] == (0, 3)
    assert predict(two_runs[0], "--outputs", "labels,colors", "--resume")[:2] == (0, 0)


def test_a_half_written_or_damaged_record(two_runs, predict, tmp_path):
    predict(two_runs[0], "--outputs", "labels")
    path = tmp_path / "out/labels/predict.jsonl"
    path.write_text(path.read_text()[:-20])  # as after a kill: one line is not whole
    assert predict(two_runs[0], "--outputs", "labels", "--resume")[:2] == (0, 1)
    assert predict(two_runs[0], "--outputs", "labels", "--resume")[:2] == (0, 0)
    for damaged in (
        "",
        "[" * 100_000,
        '{"format": 1, "made_from": 7}\n',
        '{"format": 1, "made_from": {}}\n',
        "\0\udcff",
    ):
        path.write_bytes(damaged.encode(errors="surrogateescape"))
        code, _, _, error = predict(two_runs[0], "--outputs", "labels", "--resume")
        assert code == 2 and "--resume out" in error and error.count("\n") == 1, damaged[:20]
    assert predict(two_runs[0], "--outputs", "labels")[:2] == (0, 3)


def test_results_without_a_record_are_believed_but_not_in_silence(two_runs, predict, tmp_path):
    """Those of earlier versions."""
    predict(two_runs[0])
    for path in (tmp_path / "out").rglob("predict.jsonl"):
        path.unlink()
    for _ in range(2):
        code, done, _, error = predict(two_runs[1], "--resume")
        assert (code, done) == (0, 0) and "3 results" in error and "without a record" in error


def test_a_submission_holds_label_maps_alone(two_runs, predict, folder, tmp_path):
    source = tmp_path / "frames"
    source.mkdir()
    shutil.copy(folder / "a.png", source / "berlin_000000_000019_leftImg8bit.png")
    options = ["--submission", "cityscapes"]
    assert predict(two_runs[0], *options, source=source, output=tmp_path / "submit")[:2] == (0, 1)
    assert [path.name for path in (tmp_path / "submit").iterdir()] == ["berlin_000000_000019_labelIds.png"]
    assert predict(two_runs[0], *options, "--resume", source=source, output=tmp_path / "submit")[:2] == (0, 0)
    assert predict(two_runs[1], *options, "--resume", source=source, output=tmp_path / "submit")[0] == 2


def test_a_record_is_read_back(tmp_path):
    kept = record.read(tmp_path)
    assert not kept.exists and kept.made_from is None and kept.done == {}
