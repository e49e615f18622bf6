"""Paths as users write them, and files that are written whole or not at all."""

import errno
import os
import pathlib

import pytest
from full_disk import files_of_at_most

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError


@pytest.mark.parametrize("text", ["gs://bucket/data", "s3://bucket/x", "http://host/a.png", "file:///etc/passwd"])
def test_urls_are_refused(text):
    with pytest.raises(UsageError, match="is a URL: expected a path on this machine"):
        files.local_path(text)


def test_other_paths_that_are_none():
    with pytest.raises(UsageError, match="an empty path"):
        files.local_path("")
    with pytest.raises(UsageError, match=r"a\\x00b: a path cannot hold a NUL"):
        files.local_path("a\0b")
    with pytest.raises(UsageError, match="no home folder"):
        files.local_path("~nobody-of-this-name/x")


def test_paths_mean_what_they_say(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for text, path in {
        "~/data": "/home/me/data",
        "~": "/home/me",
        "./~": "~",
        "a~b": "a~b",
        "lr=[1e-4] *?": "lr=[1e-4] *?",
        "C:/data": "C:/data",
        "a:b/c": "a:b/c",
        "stra\udcdfe": "stra\udcdfe",
    }.items():
        assert files.local_path(text) == pathlib.Path(path)


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "stra\udcdfe", "[a]*?", "new\nline"])
def test_every_name_that_linux_allows(tmp_path, name):
    files.write_json(tmp_path / name, {"a": 1})
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == '{\n "a": 1\n}\n'


def test_a_full_disk_names_the_file_and_what_to_do_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with files_of_at_most(1000), pytest.raises(MsdaError) as caught, files.replacing(path) as temporary:
        temporary.write_text("x" * 2000)
    assert str(caught.value).startswith(f"{path} cannot be written: File too large (")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["page.html"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "name another place"), (errno.EACCES, "change its permissions")],
)
def test_each_error_has_a_remedy(tmp_path, number, remedy):
    def failing():
        raise OSError(number, os.strerror(number))

    message = rf"scores.json cannot be written: {os.strerror(number)} \(.*{remedy}"
    with pytest.raises(MsdaError, match=message), files.replacing(tmp_path / "scores.json"):
        failing()


def test_other_files_errors_keep_their_names(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, files.replacing(tmp_path / "page.html"):
        (tmp_path / "missing.png").read_bytes()
    assert caught.value.filename == str(tmp_path / "missing.png")


def test_a_key_twice_in_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"a": {"b": 1, "c": 2, "b": 3}}')
    with pytest.raises(ValueError, match="the key 'b' is there twice"):
        files.read_json(tmp_path / "a.json")


def test_a_place_for_a_result_is_looked_at_before_work(tmp_path, monkeypatch):
    files.check_place(tmp_path / "new.json")
    for path, words in {
        tmp_path / "none/a.json": f"there is no folder {tmp_path / 'none'}; make it",
        tmp_path: "is a folder: name a file",
    }.items():
        with pytest.raises(UsageError, match=words):
            files.check_place(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MsdaError, match=f"a.json cannot be written: {tmp_path} is read-only here"):
        files.check_place(tmp_path / "a.json")
