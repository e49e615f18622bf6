"""Pairs of images and labels, and files that only look like some."""

import unicodedata

import pytest
import raw_sets

from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.files import listing
from msda_tf.data_prep.readers import cityscapes, folder, gta5, synthia
from msda_tf.errors import MsdaError


def test_names_that_differ_in_their_unicode_form(tmp_path):
    name = "caf\u00e9.png"
    image, label = tmp_path / "im" / name, tmp_path / "gt" / unicodedata.normalize("NFD", name)
    frames, rejected = listing.pair(
        [image, tmp_path / "im/b.png"],
        [label],
        root=tmp_path,
        key_of_image=lambda path: path.stem,
        key_of_label=lambda path: path.stem,
    )
    assert not frames
    reasons = [bad.reason for bad in rejected]
    assert "another Unicode form (NFC or NFD)" in reasons[0]
    assert reasons[1:] == ["image without label", "label without image"]


@pytest.mark.parametrize("reader", [gta5, synthia])
def test_train_ids_of_other_tools_are_left_out(tmp_path, reader):
    getattr(raw_sets, reader.__name__.rpartition(".")[2])(tmp_path / "raw", 2)
    plain = reader.find(tmp_path / "raw", test_frames=1)
    labels = sorted({frame.label for frame in plain.frames})
    for label in labels:
        label.with_name(f"{label.stem}_labelTrainIds.png").write_bytes(label.read_bytes())
    found = reader.find(tmp_path / "raw", test_frames=1)
    assert (found.frames, found.rejected) == (plain.frames, plain.rejected)
    assert found.notices[0].startswith("left out 2 files *_labelTrainIds.png beside the labels")


def test_what_is_not_mounted_is_a_bad_frame(tmp_path):
    raw_sets.cityscapes(tmp_path / "c", {"train": 2, "val": 1})
    (tmp_path / "c/leftImg8bit/train/ulm").symlink_to("/mnt/not_mounted")
    raw_sets.gta5(tmp_path / "g", 2)
    (tmp_path / "g/labels/00003.png").mkdir()
    raw_sets.gta5(tmp_path / "f", 2)
    (tmp_path / "f/day2").symlink_to("/mnt/not_mounted")
    for raw, file, reason in (
        (cityscapes.find(tmp_path / "c"), "leftImg8bit/train/ulm", "broken symbolic link to /mnt/not_mounted"),
        (gta5.find(tmp_path / "g", test_frames=1), "labels/00003.png", "a folder that is named as an image"),
        (folder.find(tmp_path / "f"), "day2", "broken symbolic link to /mnt/not_mounted"),
    ):
        (bad,) = raw.rejected
        assert bad.file == file and reason in bad.reason
        with pytest.raises(MsdaError, match=f"1 frame cannot be used, first {file}: {reason}"):
            convert.prepare(raw, output=tmp_path, name=raw.kind)
        prepared = convert.prepare(raw, output=tmp_path, name=raw.kind, on_error="skip")
        assert [bad.file for bad in prepared.rejected] == [file]


def test_hidden_folders_and_circles(tmp_path):
    root = tmp_path / "raw"
    raw_sets.gta5(root / "a", 1)
    for hidden in (".thumbnails", "a/images/.ipynb_checkpoints", "a/.Trash-1000/files"):
        (root / hidden).mkdir(parents=True)
        (root / hidden / "x.png").write_bytes(b"")
    (root / "a/back").symlink_to("..")
    (root / "a/labels/other").symlink_to("../images")
    names = [frame.name for frame in folder.find(root).frames]
    assert names == ["a/images/00001.png", "a/labels/00001.png"]
