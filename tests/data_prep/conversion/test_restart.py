"""Killed at any moment and started again, the result is the same to the byte, for any number of workers."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest
import raw_sets

from msda_tf.data.writing import notes
from msda_tf.data_prep.conversion import convert, shards
from msda_tf.data_prep.readers import gta5

# Prepares argv[1] into argv[2] with argv[4] workers, and kills itself after argv[3] steps.
CHILD = """
import os, pathlib, signal, sys
from msda_tf import files
from msda_tf.data_prep.conversion import convert, shards
from msda_tf.data_prep.readers import gta5

shards.SHARD_FRAMES = 2
steps = int(sys.argv[3])

def step(*_):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), signal.SIGKILL)

if steps >= 1000:  # count files written instead of frames: the moments between two files matter, too
    steps -= 1000
    replace = os.replace
    os.replace = lambda *paths: (step(), replace(*paths))
    progress = None
else:
    progress = step
raw = gta5.find(pathlib.Path(sys.argv[1]), test_frames=3)
convert.prepare(raw, output=pathlib.Path(sys.argv[2]), name="a", workers=int(sys.argv[4]), progress=progress)
"""


def _content(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    root = tmp_path_factory.mktemp("raw") / "gta5"
    raw_sets.gta5(root, 10)
    return root


@pytest.fixture(scope="module")
def expected(raw, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_FRAMES", 2)
        convert.prepare(gta5.find(raw, test_frames=3), output=output, name="a", workers=1)
    content = _content(output / "a")
    assert len(content) == 8  # 2 test and 4 train shards, the counts of classes, dataset.json
    return content


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers(raw, expected, tmp_path, workers, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    convert.prepare(gta5.find(raw, test_frames=3), output=tmp_path, name="a", workers=workers)
    assert _content(tmp_path / "a") == expected


# Frames: 11 progress calls of the check, then 11 of the conversion.
# Files: .prepare.json, 6 x (shard, note), class_counts.npy, dataset.json.
@pytest.mark.parametrize("kill_after", [5, 12, 16, 21, 1000, 1001, 1002, 1007, 1012, 1013, 1014])
def test_killed(raw, expected, tmp_path, kill_after, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    arguments = [sys.executable, "-c", CHILD, str(raw), str(tmp_path), str(kill_after), "2"]
    killed = subprocess.run(arguments, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "a/dataset.json").exists()
    notes = [path for path in (tmp_path / "a").iterdir() if path.name.endswith(".tfrecord.json")]
    prepared = convert.prepare(gta5.find(raw, test_frames=3), output=tmp_path, name="a")
    assert prepared.reused == len(notes)
    assert _content(tmp_path / "a") == expected


def test_interrupted_in_process(raw, expected, tmp_path, monkeypatch):
    """Ctrl-C stops the workers at their next frame and leaves no half file."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    monkeypatch.setattr(notes, "write_note", _interrupt_at(3, notes.write_note))
    with pytest.raises(KeyboardInterrupt):
        convert.prepare(gta5.find(raw, test_frames=3), output=tmp_path, name="a", workers=2)
    names = set(_content(tmp_path / "a"))
    assert not any(name.endswith(".part") for name in names)
    assert "dataset.json" not in names
    monkeypatch.undo()
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    assert convert.prepare(gta5.find(raw, test_frames=3), output=tmp_path, name="a").reused == 2
    assert _content(tmp_path / "a") == expected


def test_an_interrupt_does_not_wait_for_whole_shards(tmp_path, monkeypatch):
    raw_sets.gta5(tmp_path / "raw", 40)
    monkeypatch.setattr(notes, "write_note", _interrupt_at(1, notes.write_note))
    converted = []

    def slowly(stage, done, total):
        if stage == "converting":
            converted.append(done)
            time.sleep(0.01)

    raw = gta5.find(tmp_path / "raw", test_frames=1)
    with pytest.raises(KeyboardInterrupt):
        convert.prepare(raw, output=tmp_path, name="a", workers=1, progress=slowly)
    assert len(converted) < 30


def _interrupt_at(call, function):
    calls = iter(range(1, 1000))

    def wrapped(*arguments):
        if next(calls) == call:
            raise KeyboardInterrupt
        return function(*arguments)

    return wrapped


def test_shards_of_another_layout_are_cleared_away(raw, expected, tmp_path, monkeypatch):
    """Begun with other shard sizes (as an earlier version might): nothing of it remains."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 4)
    monkeypatch.setattr(notes, "write_note", _interrupt_at(2, notes.write_note))
    with pytest.raises(KeyboardInterrupt):
        convert.prepare(gta5.find(raw, test_frames=3), output=tmp_path, name="a", workers=1)
    assert "test-00000-of-00001.tfrecord" in _content(tmp_path / "a")
    monkeypatch.undo()
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    monkeypatch.setattr(notes, "write_note", _interrupt_at(1, notes.write_note))
    with pytest.raises(KeyboardInterrupt):
        convert.prepare(gta5.find(raw, test_frames=3), output=tmp_path, name="a", workers=1)
    # At once, not at the end: the disk may not have room for both.
    assert not any("of-00001" in name for name in _content(tmp_path / "a"))
    monkeypatch.undo()
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    assert convert.prepare(gta5.find(raw, test_frames=3), output=tmp_path, name="a").reused == 0
    assert _content(tmp_path / "a") == expected


def test_a_file_changed_meanwhile_is_converted_anew(tmp_path, monkeypatch):
    """Of the finished shards, the one that holds the changed file is not trusted."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    root = tmp_path / "raw"
    raw_sets.gta5(root, 6)
    monkeypatch.setattr(convert.Begun, "finish", lambda *_: 1 / 0)  # stopped right before the end
    with pytest.raises(ZeroDivisionError):
        convert.prepare(gta5.find(root, test_frames=2), output=tmp_path, name="a")
    monkeypatch.undo()
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    image = root / "images/00003.png"
    written = image.stat().st_mtime_ns
    image.write_bytes(image.read_bytes())
    os.utime(image, ns=(written, written + 1))
    assert convert.prepare(gta5.find(root, test_frames=2), output=tmp_path, name="a").reused == 2
