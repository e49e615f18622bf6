"""Raw data and results on another file system, of which a folder stands for the real one."""

import csv
import json
import shutil

import pytest
import raw_sets
from beam_jobs import ONE, TWO, workers_find_this
from command import run

from msda_tf.data_prep.conversion import shards

pytest.importorskip("apache_beam", reason="needs the extra beam")
__all__ = ["workers_find_this"]


@pytest.fixture
def shelf(tmp_path, monkeypatch, workers_find_this):
    """The folder that stands for shelf://."""
    monkeypatch.setenv("SHELF", str(tmp_path / "shelf"))
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    monkeypatch.chdir(tmp_path)
    raw_sets.gta5(tmp_path / "shelf/raws/gta5", 6)
    (tmp_path / "shelf/raws/gta5/labels/00003.png").write_bytes(b"no label")
    path = tmp_path / "shelf/raws/gta5/images/00005.png"
    data = path.read_bytes()
    path.write_bytes(data[:1000] + bytes(200) + data[1200:])
    return tmp_path / "shelf"


def options(runner):
    flags = [part for flag in (*runner.flags, "--beam_plugins=shelf") for part in ("--beam-option", flag.lstrip("-"))]
    return ["--runner", runner.name, *flags]


GTA5 = ["prepare", "--dataset", "gta5", "--test-frames", "2"]
THERE = [*GTA5, "--raw", "shelf://raws/gta5", "--output", "shelf://data/"]


def content(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}


def test_from_and_to_elsewhere_the_bytes_are_the_same(shelf, tmp_path, capsys):
    assert run(capsys, *GTA5, "--raw", shelf / "raws/gta5", "--on-error", "skip")[0] == 0
    expected = content(tmp_path / "data/gta5")

    code, _, error = run(capsys, *THERE, *options(ONE))
    assert code == 1 and "1 frame cannot be used, first shelf://raws/gta5/labels/00003.png: neither" in error
    assert {"rejected.csv"} == set(content(shelf / "data/gta5"))

    code, out, _ = run(capsys, *THERE, *options(TWO), "--on-error", "skip")
    assert code == 0 and "listed in shelf://data/gta5/rejected.csv" in out and "Next: copy it" in out
    made = content(shelf / "data/gta5")
    assert set(made) == set(expected)
    for name in set(made) - {"dataset.json", "rejected.csv"}:
        assert made[name] == expected[name], name
    ours, theirs = (json.loads(each["dataset.json"]) for each in (made, expected))
    assert ours["options"].pop("raw") == "shelf://raws/gta5"
    assert theirs["options"].pop("raw") == str(shelf / "raws/gta5")
    for each in (ours, theirs):
        each["options"].pop("input_times_sha256")  # stores keep no fractions of a second
    assert ours == theirs
    rows = [list(csv.reader(each["rejected.csv"].decode().splitlines())) for each in (made, expected)]
    assert [(name, file.removeprefix("shelf://"), why) for name, file, why in rows[0]] == [
        (name, file.removeprefix(f"{shelf}/"), why) for name, file, why in rows[1]
    ]

    code, out, _ = run(capsys, *THERE, *options(ONE), "--on-error", "skip")
    assert code == 0 and "nothing had to be done: it was prepared before" in out
    assert content(shelf / "data/gta5") == made


def test_it_goes_on_where_it_stopped(shelf, tmp_path, capsys):
    shutil.copyfile(shelf / "raws/gta5/labels/00004.png", shelf / "raws/gta5/labels/00003.png")
    code, _, error = run(capsys, *THERE, *options(ONE))
    assert code == 1 and "1 frame cannot be used, first shelf://raws/gta5/images/00005.png" in error
    begun = set(content(shelf / "data/gta5"))
    assert ".prepare.json" in begun and len([name for name in begun if name.endswith(".tfrecord")]) == 2
    code, out, _ = run(capsys, *THERE, *options(ONE), "--on-error", "skip")
    assert code == 0 and "2 of 3 shards were there from an earlier run" in out
    code, _, error = run(capsys, *THERE, *options(ONE), "--scale", "0.5")
    assert code == 2 and "shelf://data/gta5 was prepared with scale = 1.0, now 0.5 is asked for" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--raw", "shelf://raws/gta5"],
            "shelf://raws/gta5 is a URL, which takes --runner: name one",
        ),
        (["--output", "gs://bucket", "--raw", "raw"], "gs://bucket is a URL, which takes --runner"),
        (["--raw", "ftp://host/gta5", *options(ONE)], "cannot be reached: Beam has no ftp:// here, only"),
        (["--raw", "shelf://a[1]", *options(ONE)], "are patterns; choose a name without them"),
        (["--raw", "shelf://nothing", *options(ONE)], "raw folder shelf://nothing is empty: expected images"),
        (["--raw", "shelf://locked/gta5", *options(ONE)], "shelf://locked/gta5 cannot be read"),
        (["--raw", "hdfs://host/gta5", *options(ONE)], "Beam has no hdfs:// here, only"),
        (
            ["--raw", "raw", "--output", "shelf://data", "--runner", "DataflowRunner"],
            "data, results and run must lie on gs://",
        ),
        (["--raw", "raw", "--output", "shelf://data", "--verify", *options(ONE)], "--verify reads shards"),
    ],
)
def test_what_cannot_be_reached_is_refused_before_work_starts(shelf, tmp_path, capsys, arguments, said):
    code, _, error = run(capsys, *GTA5, *arguments)
    assert code in (1, 2) and said in error and len(error.strip().splitlines()) == 1, error
    assert not (tmp_path / "data").exists() and not (shelf / "data").exists()
