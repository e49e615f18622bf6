"""The one walk through folders of images."""

import os
import pathlib
import subprocess
import sys

from msda_tf.image_files import walk


def _touch(root, *names):
    for name in names:
        path = pathlib.Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _seen(root, **options):
    found, problems = walk.files(root, **options)
    names = [path.relative_to(root).as_posix() for path in found]
    return names, {problem.path.relative_to(root).as_posix(): problem.reason for problem in problems}


def test_names_endings_and_hidden_parts(tmp_path):
    _touch(tmp_path, "b.PNG", "a.jpeg", "a/c.jpg", "a/notes.txt", "a/b/d.png", ".hidden.png", "png")
    _touch(tmp_path, "a/.ipynb_checkpoints/x.png", ".thumbnails/x.png", ".Trash-1000/files/x.png")
    assert _seen(tmp_path) == (["a/b/d.png", "a/c.jpg", "a.jpeg", "b.PNG"], {})
    assert _seen(tmp_path, recursive=False) == (["a.jpeg", "b.PNG"], {})


def test_links_in_circles_are_looked_through_once(tmp_path):
    _touch(tmp_path, "a/0.png", "b/1.png")
    for link, to in (("a/back", ".."), ("a/other", "../b"), ("b/other", "../a"), ("b/self", ".")):
        (tmp_path / link).symlink_to(to)
    assert _seen(tmp_path) == (["a/0.png", "b/1.png"], {})


def test_links_to_elsewhere_are_followed(tmp_path):
    _touch(tmp_path, "root/a/0.png", "elsewhere/deep/1.png", "elsewhere/2.png")
    (tmp_path / "root/day2").symlink_to("../elsewhere")
    (tmp_path / "root/again").symlink_to("../elsewhere/deep")
    (tmp_path / "root/3.png").symlink_to("../elsewhere/2.png")
    names, problems = _seen(tmp_path / "root")
    # Two links lead to one folder: the first by name counts.
    assert (names, problems) == (["3.png", "a/0.png", "again/1.png", "day2/2.png"], {})


def test_what_is_not_mounted_is_told(tmp_path):
    _touch(tmp_path, "0.png")
    (tmp_path / "day2").symlink_to("/mnt/not_mounted/day2")
    (tmp_path / "1.png").symlink_to("/mnt/not_mounted/1.png")
    (tmp_path / "loop").symlink_to("loop")
    names, problems = _seen(tmp_path)
    assert names == ["0.png", "1.png"]  # whoever opens the second will say that it is not there
    assert problems.keys() == {"day2", "loop"}
    assert "broken symbolic link to /mnt/not_mounted/day2" in problems["day2"]
    assert "Too many levels of symbolic links" in problems["loop"]


def test_a_folder_named_as_an_image(tmp_path):
    _touch(tmp_path, "0.png", "clip.png/1.png")
    assert _seen(tmp_path) == (["0.png", "clip.png/1.png"], {})
    assert _seen(tmp_path, recursive=False) == (["0.png"], {"clip.png": "a folder that is named as an image"})


def test_a_folder_without_permission_is_told(tmp_path):
    _touch(tmp_path, "0.png", "closed/1.png")
    script = """
import os, pathlib, sys
from msda_tf.image_files import walk
if os.getuid() == 0:
    os.setuid(65534)  # the superuser may read everything
print([(each.path.name, each.reason) for each in walk.files(pathlib.Path(sys.argv[1]))[1]])
"""
    for folder in (tmp_path, *tmp_path.parents):
        if folder != pathlib.Path("/") and folder.owner() == pathlib.Path.home().owner() and "pytest" in str(folder):
            folder.chmod(0o755)
    (tmp_path / "closed").chmod(0)
    try:
        done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert done.stdout == "[('closed', 'cannot be read: Permission denied')]\n"


def test_any_name_that_linux_allows(tmp_path):
    names = [b"stra\xdfe.png", b"line\nbreak.png", b"\x1b[31mred.png", b" .png", b"\xf0\x9f\x8c\x83.png"]
    for name in names:
        open(os.path.join(os.fsencode(tmp_path), name), "wb").close()
    found, problems = walk.files(tmp_path)
    assert sorted(os.fsencode(path.name) for path in found) == sorted(names)
    assert not problems
