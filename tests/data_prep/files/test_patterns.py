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
    assert Pattern(text).files(tmp_path) == expected
    assert expected


def test_label_paths_follow():
    images, labels = Pattern("im/**/frame*_[ab].jpg"), Pattern("gt/**/label*_[ab].png")
    assert labels.fill(images.match("im/oslo/day/frame07_a.jpg")) == "gt/oslo/day/label07_a.png"
    assert labels.fill(images.match("im/frame07_b.jpg")) == "gt/label07_b.png"
    assert images.match("im/frame07_c.jpg") is None
    assert Pattern("x/[!ab].png").match("x/a.png") is None


def test_missing_folder(tmp_path):
    assert Pattern("none/*.png").files(tmp_path) == []
