"""Publishing a version: whole or not at all, under the next number."""

import os
import pathlib
from types import SimpleNamespace

import pytest
import tensorflow as tf

from msda_tf import export
from msda_tf.errors import MsdaError, UsageError
from msda_tf.runs import trained


@pytest.fixture
def quick(monkeypatch):
    """Exports a file instead of networks."""
    networks = SimpleNamespace(centred=lambda mean_of: networks, in_colours=lambda palette: networks)
    networks.in_windows = lambda window: networks
    monkeypatch.setattr(trained, "load", lambda *_, **__: networks)

    def write(networks, served, folder, **_):
        folder.mkdir()
        (folder / "saved_model.pb").write_text("model")

    monkeypatch.setattr(export, "write_version", write)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_versions_count_up(quick, tmp_path):
    assert export.export(["run"], tmp_path / "model") == tmp_path / "model" / "1"
    assert export.export(["run"], tmp_path / "model") == tmp_path / "model" / "2"
    # What is no number is no version; gaps are not filled, for servers take the highest.
    for name in ("41", "old", "50.part"):
        (tmp_path / "model" / name).mkdir()
    assert export.export(["run"], tmp_path / "model").name == "42"
    assert names(tmp_path / "model") == ["1", "2", "41", "42", "50.part", "old"]
    assert (tmp_path / "model/42/saved_model.pb").read_text() == "model"


@pytest.mark.parametrize("name", ["exp[1]", "a*", "a?", "back\\slash", os.fsdecode(b"stra\xdfe")])
def test_a_path_that_tensorflow_cannot_read_is_refused_before_work(quick, tmp_path, name):
    with pytest.raises(UsageError, match="TensorFlow cannot read a model whose path holds"):
        export.export(["run"], tmp_path / name / "model")
    assert names(tmp_path) == []


def test_another_export_at_the_same_time(quick, tmp_path, monkeypatch):
    rename, raced = pathlib.Path.rename, []

    def slow(self, target):
        if not raced:
            raced.append(target)
            target.mkdir()
            (target / "saved_model.pb").write_text("theirs")
        return rename(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", slow)
    assert export.export(["run"], tmp_path) == tmp_path / "2"
    assert (tmp_path / "1/saved_model.pb").read_text() == "theirs"
    assert (tmp_path / "2/saved_model.pb").read_text() == "model"


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(None, None, "full")]
)
def test_a_failed_export_leaves_no_version(quick, tmp_path, monkeypatch, error):
    def write(networks, served, folder, **_):
        folder.mkdir()
        (folder / "saved_model.pb").write_text("ha")
        # What a server would see now.
        assert not any(name.isdecimal() for name in names(tmp_path))
        raise error

    monkeypatch.setattr(export, "write_version", write)
    with pytest.raises(MsdaError, match="cannot be written: .*; no version was added"):
        export.export(["run"], tmp_path)
    assert names(tmp_path) == []
