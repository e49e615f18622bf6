"""Whole commands on a disk that is full: one line that names the file, exit code 1, and nothing half-written."""

import command
import full_disk
import numpy as np
import prepared
import pytest

from msda_tf.data import manifest as manifests
from msda_tf.runs.directory import RunDirectory


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A folder of two pictures that do not compress."""
    folder = tmp_path_factory.mktemp("frames")
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        (folder / f"{number}.png").write_bytes(prepared.png(noise))
    return folder


def failing(capsys, size, *arguments):
    """What a command says for which no file may grow beyond `size` bytes."""
    with full_disk.files_of_at_most(size):
        code, _, errors = command.run(capsys, *arguments)
    lines = [line for line in errors.splitlines() if line.startswith("msda-tf: ")]
    assert code == 1 and len(lines) == 1 and "unexpected" not in lines[0] and ".part" not in lines[0], errors
    return lines[0]


def left(folder):
    """Names of the files in a folder, but for locks."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_prepare_and_inspect(frames, tmp_path, capsys):
    ask = ["prepare", "--dataset", "folder", "--raw", frames, "--name", "f", "--output", tmp_path]
    for size in (0, 300, 5000, 20_000):
        assert str(tmp_path / "f") in failing(capsys, size, *ask)
        assert not (tmp_path / "f" / manifests.FILE_NAME).exists()
    assert command.run(capsys, *ask)[0] == 0
    before = left(tmp_path / "f")
    assert command.run(capsys, *ask, "--verify")[0] == 0
    line = failing(capsys, 1000, "inspect", tmp_path / "f")
    assert "inspect.html cannot be written: " in line and left(tmp_path / "f") == before


def test_train_begins_nothing(prepared_data, tmp_path, capsys):
    ask = ["train", "--preset", "tiny", "--init", "none", "--data", prepared_data, "--target", "gta5"]
    ask += ["--sources", "synthia", "--run", tmp_path / "run"]
    for size in (0, 10, 500):
        assert str(tmp_path / "run") in failing(capsys, size, *ask)
        assert not RunDirectory(tmp_path / "run").info.exists()


def test_results(trained_run, frames, tmp_path, capsys):
    run, one = trained_run.directory, ["--limit", 1]
    before = (run / "metrics.json").read_bytes() if (run / "metrics.json").exists() else None
    line = failing(capsys, 2000, "evaluate", "--run", run, *one, "--json", tmp_path / "m.json")
    assert f"{tmp_path / 'm.json'} cannot be written: " in line
    line = failing(capsys, 2000, "report", "--run", run, *one, "--output", tmp_path / "r.html")
    assert f"{tmp_path / 'r.json'} cannot be written: " in line
    assert before == ((run / "metrics.json").read_bytes() if before else None)
    line = failing(capsys, 1000, "predict", "--run", run, "--input", frames, "--output", tmp_path / "p")
    assert str(tmp_path / "p") in line
    line = failing(capsys, 20_000, "export", "--run", run, "--output", tmp_path / "e", "--size", "64x48")
    assert f"{tmp_path / 'e'}: the model cannot be written: File too large (" in line
    assert left(tmp_path) == []
