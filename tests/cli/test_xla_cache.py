"""What XLA compiled is found again by the next process, and nothing that users or other processes have is spoiled."""

import hashlib
import os
import pathlib
import platform
import re
import subprocess
import sys
import time
import types

import command
import pytest

from msda_tf.cli import quiet, xla_cache
from msda_tf.errors import UsageError

SCRIPT = """
import json, os, sys
from msda_tf.cli import xla_cache
with xla_cache.kept():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    os.environ["TF_CPP_VMODULE"] = "device_executable_persistor=2"
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def step(x):
        return tf.reduce_sum(tf.nn.relu(tf.matmul(x, x) + 1.0))

    print("RESULT", float(step(tf.reshape(tf.range(36.0), [6, 6]) / 7.0)))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder of caches; its name has a space."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "my cache"))
    monkeypatch.delenv("MSDA_TF_CACHE", raising=False)
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    return tmp_path / "my cache" / "msda-tf" / "xla"


def chosen():
    """The folder that TensorFlow is told."""
    return pathlib.Path(re.search(r'--tf_xla_persistent_cache_directory="([^"]*)"', os.environ["TF_XLA_FLAGS"])[1])


def entries(cache):
    return sorted(cache.rglob("*.pb"))


def test_the_next_process_finds_what_one_compiled(cache):
    found = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append((done.stdout, "Loading cached entry" in done.stderr, entries(cache)))
    (first, loaded, files), (second, loaded_again, files_again) = found
    assert first == second and (loaded, loaded_again) == (False, True)
    assert files == files_again and len(files) == 1
    assert not list(cache.rglob("*.part"))


def test_a_process_sees_whole_files_and_leaves_whole_ones(cache):
    with xla_cache.kept():
        own = chosen()
        (own / "f__1__CPU.pb").write_bytes(b"compiled")
        assert not [path for path in entries(cache) if path.parent != own]  # not before it is whole
    assert "TF_XLA_FLAGS" not in os.environ and not own.exists()
    (kept,) = entries(cache)
    assert kept.name == f"{hashlib.sha256(b'compiled').hexdigest()[:16]}-f__1__CPU.pb"
    with xla_cache.kept(), pytest.MonkeyPatch.context() as patch:
        assert (chosen() / "f__1__CPU.pb").read_bytes() == b"compiled"
        patch.delenv("TF_XLA_FLAGS")
        with xla_cache.kept():  # another process, at the same time
            (chosen() / "f__1__CPU.pb").unlink()
            (chosen() / "f__2__CPU.pb").write_bytes(b"other")
    assert len(entries(cache)) == 2
    kept.write_bytes(b"comp")  # a disk's fault
    with xla_cache.kept():
        assert [path.name for path in chosen().iterdir()] == ["f__2__CPU.pb"]
    assert len(entries(cache)) == 1


def test_flags_of_users_stay(cache, monkeypatch):
    for flags in ("--tf_xla_persistent_cache_directory=/tmp/mine", "flags.txt"):
        monkeypatch.setenv("TF_XLA_FLAGS", flags)
        with xla_cache.kept():
            assert os.environ["TF_XLA_FLAGS"] == flags
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug")
    with xla_cache.kept():
        assert os.environ["TF_XLA_FLAGS"].startswith("--tf_xla_clustering_debug --tf_xla_persistent_cache_directory=")
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_clustering_debug"
    with xla_cache.kept(False):
        assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_clustering_debug"


def test_it_does_without_where_there_is_no_place(cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / 'a "quoted" name'):
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        with xla_cache.kept():
            assert "TF_XLA_FLAGS" not in os.environ
    monkeypatch.setattr(xla_cache.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=9))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with xla_cache.kept():
        assert "TF_XLA_FLAGS" not in os.environ


def test_old_files_make_room_and_what_killed_processes_left_goes(cache, monkeypatch):
    monkeypatch.setattr(xla_cache, "LARGEST", 10)
    with xla_cache.kept():
        for number in range(3):
            path = chosen() / f"f__{number}__CPU.pb"
            path.write_bytes(b"1234")
            os.utime(path, (number, number))
        own = chosen()
        left = own.with_name(".left.part")
        left.mkdir()
    assert sorted(path.name[17:] for path in entries(cache)) == ["f__1__CPU.pb", "f__2__CPU.pb"]
    with xla_cache.kept():
        assert left.exists()  # somebody may still work in it
    os.utime(left, (time.time() - 30 * 24 * 3600,) * 2)
    with xla_cache.kept():
        assert not left.exists()


def test_code_of_another_processor_is_not_taken(cache, monkeypatch):
    with xla_cache.kept():
        (chosen() / "f__1__CPU.pb").write_bytes(b"compiled")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    with xla_cache.kept():
        assert not list(chosen().iterdir())


def test_a_folder_belongs_to_the_kernels_that_tensorflow_will_be_loaded_with(cache, monkeypatch):
    folders = {}
    for value in (None, "0", "1"):
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
        if value is not None:
            monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
        with xla_cache.kept():
            folders[value] = chosen().parent
    # Those who say what there is anyway find what was compiled without a word.
    assert folders["0"] != folders["1"] and folders[None] == folders["1" if platform.machine() == "x86_64" else None]


def test_train_asks_for_it_before_tensorflow_is_loaded(cache, prepared_data, monkeypatch, capsys):
    found = []

    def load():
        found.append(os.environ.get("TF_XLA_FLAGS", ""))
        raise UsageError("that will do")

    monkeypatch.setattr(quiet, "load_tensorflow", load)
    data = ["--target", "cityscapes", "--data", prepared_data]
    for words in (["train"], ["stylize", "train", "--source", "gta5"]):
        assert command.run(capsys, *words, *data, "--set", "jit=true")[0] == 2
        assert command.run(capsys, *words, *data)[0] == 2
    assert ["persistent_cache" in flags for flags in found] == [True, False, True, False]
    assert "TF_XLA_FLAGS" not in os.environ
