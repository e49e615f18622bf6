"""Path patterns against pathlib's own globbing."""

import pytest

from msda_tf.data_prep.files.patterns import Pattern

FILES = ["a.png", "b.txt", "x/1.png", "x/12.png", "x/y/1.png", "x/y/z/2.jpg", "xx/1.png", "x/[1].png"]


@pytest.mark.parametrize(
    "text", ["*.png", "x/*.png", "*/1.png", "x/**/*.png", "**/*.png", "x/y/z/*", "x/?.png", "x/[0-9].png", "a.png"]
)
def test_as_pathlib(tmp_path, text):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = sorted(path for path in tmp_path.glob(text) if path.is_file() and path.suffix in (".png", ".jpg"))
    assert Pattern(text).files(tmp_path) == (expected, [])
    assert expected


def test_label_paths_follow():
    images, labels = Pattern("im/**/frame*_[ab].jpg"), Pattern("gt/**/label*_[ab].png")
    assert labels.fill(images.match("im/oslo/day/frame07_a.jpg")) == "gt/oslo/day/label07_a.png"
    assert labels.fill(images.match("im/frame07_b.jpg")) == "gt/label07_b.png"
    assert images.match("im/frame07_c.jpg") is None
    assert Pattern("x/[!ab].png").match("x/a.png") is None


def test_missing_folder(tmp_path):
    assert Pattern("none/*.png").files(tmp_path) == ([], [])


def test_links(tmp_path):
    """They are followed under the name that the pattern gives them, and never round in circles."""
    (tmp_path / "day").mkdir()
    (tmp_path / "day/1.png").touch()
    (tmp_path / "rgb").symlink_to("day")
    (tmp_path / "day/back").symlink_to("..")
    (tmp_path / "gone").symlink_to("/not/mounted")
    (tmp_path / "day/gone").symlink_to("/not/mounted")
    names = {
        "rgb/*.png": ["rgb/1.png"],
        "rg?/*.png": ["rgb/1.png"],
        "*/*.png": ["day/1.png", "rgb/1.png"],
        "**/*.png": ["day/1.png"],
        "rgb/**/*.png": ["rgb/1.png"],
    }
    for text, expected in names.items():
        found, problems = Pattern(text).files(tmp_path)
        assert [path.relative_to(tmp_path).as_posix() for path in found] == expected, text
        dead = {"*/*.png": {"gone"}, "**/*.png": {"gone", "day/gone"}, "rgb/**/*.png": {"rgb/gone", "rgb/back/gone"}}
        assert {each.path.relative_to(tmp_path).as_posix() for each in problems} == dead.get(text, set()), text
    _, (problem,) = Pattern("gone/*.png").files(tmp_path)
    assert "broken symbolic link to /not/mounted" in problem.reason
