"""HDFS through Beam's own file system, with a client that stands for the one of WebHDFS: it has folders, and Beam does
not tell which entries of a list are folders."""

import contextlib
import importlib.machinery
import os
import pathlib
import shutil
import sys
import types

import pytest

from msda_tf.errors import MsdaError, UsageError
from msda_tf.remote import cache, filesystem
from msda_tf.runs import elsewhere

hadoop = pytest.importorskip("apache_beam.io.hadoopfilesystem", reason="needs the extra beam")

REACH = ["--hdfs_host=name", "--hdfs_port=9870", "--hdfs_user=me"]


class HdfsError(Exception):
    """As of hdfscli."""


class Client:
    """What hdfscli's InsecureClient does with /x, done with $HDFS/x."""

    def __init__(self, address, user):
        assert (address, user) == ("http://name:9870", "me")
        self._root = pathlib.Path(os.environ["HDFS"])

    def _at(self, path):
        return self._root / path.lstrip("/")

    def _status(self, path):
        status, kind = path.stat(), "DIRECTORY" if path.is_dir() else "FILE"
        size = 0 if path.is_dir() else status.st_size
        return {"length": size, "modificationTime": int(status.st_mtime * 1000), "type": kind}

    def status(self, path, strict=True):
        if self._at(path).exists():
            return self._status(self._at(path))
        if strict:
            raise HdfsError(f"File does not exist: {path}")
        return None

    def list(self, path, status=False):
        if not self._at(path).is_dir():
            raise HdfsError(f"{path!r} is not a directory.")
        return [(each.name, self._status(each)) for each in sorted(self._at(path).iterdir())]

    @contextlib.contextmanager
    def read(self, path, offset=0, length=None):
        with open(self._at(path), "rb") as file:
            file.seek(offset)
            yield types.SimpleNamespace(read=lambda: file.read(length))

    @contextlib.contextmanager
    def write(self, path):
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        with open(self._at(path), "xb") as file:
            yield file

    def makedirs(self, path):
        self._at(path).mkdir(parents=True, exist_ok=True)

    def rename(self, source, destination):
        if self._at(destination).exists():
            raise HdfsError(f"{destination} exists")
        self._at(source).rename(self._at(destination))

    def delete(self, path, recursive=False):
        if self._at(path).is_dir():
            shutil.rmtree(self._at(path))
        else:
            self._at(path).unlink(missing_ok=True)


@pytest.fixture
def there(tmp_path, monkeypatch):
    """The folder that stands for hdfs://runs/adapted."""
    module = types.ModuleType("hdfs")
    module.InsecureClient, module.HdfsError = Client, HdfsError
    module.__spec__ = importlib.machinery.ModuleSpec("hdfs", None)
    monkeypatch.setitem(sys.modules, "hdfs", module)
    monkeypatch.setattr(hadoop, "hdfs", module)
    monkeypatch.setenv("HDFS", str(tmp_path / "hdfs"))
    filesystem.connect(REACH)
    return tmp_path / "hdfs/runs/adapted"


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folders_are_walked(there, tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "a"))
    url = "hdfs://runs/adapted"
    here = elsewhere.mirror(url)
    here.bring()
    deep = here.place.here / "networks/sources"
    deep.mkdir(parents=True)
    (here.place.here / "run.json").write_text("{}")
    (deep / "metrics.jsonl").touch()
    (deep / "progress.json").write_text("1")
    here.sync()
    (there / "empty").mkdir()
    assert content(there) == content(here.place.here) and len(content(there)) == 3
    assert {name: size for name, size, _ in filesystem.listing(url)} == {
        "run.json": 2,
        "networks/sources/metrics.jsonl": 0,
        "networks/sources/progress.json": 1,
    }
    (deep / "progress.json").write_text("2")
    here.sync()
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "b"))
    other = elsewhere.bring(url, elsewhere.to_go_on(url))
    assert content(other) == content(there) and (other / "networks/sources/progress.json").read_text() == "2"
    assert list(filesystem.listing("hdfs://runs/none")) == []


def test_what_it_needs_is_said(there, monkeypatch):
    assert filesystem.check("hdfs://runs/x/") == "hdfs://runs/x"
    filesystem.connect()
    with pytest.raises(UsageError, match="hdfs://runs/x cannot be reached: .*hdfs_host is not set.*--beam-option KEY"):
        filesystem.check("hdfs://runs/x")
    filesystem.connect(REACH)
    monkeypatch.setattr(Client, "list", lambda *_, **__: (_ for _ in ()).throw(HdfsError("refused")))
    there.mkdir(parents=True)
    with pytest.raises(MsdaError, match="hdfs://runs/adapted cannot be read: .*refused"):
        list(filesystem.listing("hdfs://runs/adapted"))
