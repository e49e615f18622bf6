"""Class counts of each image: against counts by NumPy, stored, counted afterwards, and damaged."""

import dataclasses
import io
import json
import pickle

import numpy as np
import prepared
import pytest
import raw_sets
from PIL import Image

from msda_tf import files
from msda_tf.data import class_counts, records
from msda_tf.data import manifest as manifests
from msda_tf.data.index import RecordIndex
from msda_tf.data_prep.conversion import convert, shards
from msda_tf.data_prep.conversion.verify import verify
from msda_tf.data_prep.readers import cityscapes, folder, gta5
from msda_tf.errors import MsdaError


def npy(array: np.ndarray) -> bytes:
    """The array as NumPy writes it."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture
def games(tmp_path, monkeypatch):
    """A prepared GTA5 of seven frames in shards of two, with its labels by name."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    made = raw_sets.gta5(tmp_path / "raw", 7)
    manifest = convert.prepare(gta5.find(tmp_path / "raw", test_frames=3), output=tmp_path, name="a").manifest
    return manifest, {name: label for name, (_, label) in made.items()}


def _expected(manifest, split, labels):
    index = RecordIndex(manifest.directory, manifest.splits[split].shards)
    names = [records.from_example(index.read(record)).filename for record in range(len(index))]
    return [[int((labels[name] == k).sum()) for k in range(19)] for name in names]


@pytest.mark.parametrize("split", ["train", "test"])
def test_rows_are_those_of_the_records(games, split):
    manifest, labels = games
    assert class_counts.read(manifest, split).tolist() == _expected(manifest, split, labels)
    written = json.loads((manifest.directory / "dataset.json").read_text())["class_counts"]
    assert written["file"] == "class_counts.npy"


def test_counted_afterwards_they_are_the_same_and_kept(games, monkeypatch):
    """As for a data set that was prepared before counts were stored."""
    manifest, labels = games
    stored = (manifest.directory / "class_counts.npy").read_bytes()
    (manifest.directory / "class_counts.npy").unlink()
    old = dataclasses.replace(manifest, class_counts=None)
    manifests.write(old, manifest.directory)
    assert class_counts.read(manifests.read(manifest.directory), "train").tolist() == _expected(old, "train", labels)
    kept = list(manifest.directory.glob(".class_counts-*.npy"))
    assert [path.read_bytes() for path in kept] == [stored]
    monkeypatch.setattr(class_counts.tfrecord, "read", lambda path: 1 / 0)
    assert class_counts.read(old, "test").tolist() == _expected(old, "test", labels)
    monkeypatch.undo()
    kept[0].write_bytes(stored[:50])  # a copy is made again, not trusted
    assert class_counts.read(old, "test").tolist() == _expected(old, "test", labels)
    assert kept[0].read_bytes() == stored


def test_where_nothing_can_be_written_they_are_counted_each_time(games, monkeypatch):
    manifest, labels = games
    old = dataclasses.replace(manifest, class_counts=None)

    def refused(path):
        raise PermissionError(path)

    monkeypatch.setattr(class_counts.files, "replacing", refused)
    assert class_counts.read(old, "train").tolist() == _expected(old, "train", labels)


def test_sizes_labels_and_scales_may_differ(tmp_path):
    """Without labels there are no counts; a split without any is left out of the rows."""
    raw_sets.cityscapes(tmp_path / "raw", {"train": 2, "val": 1, "test": 2})
    manifest = convert.prepare(cityscapes.find(tmp_path / "raw"), output=tmp_path, name="c").manifest
    assert class_counts.read(manifest, "train").sum(0).tolist() == list(manifest.splits["train"].class_pixels)
    assert class_counts.read(manifest, "val").shape == (1, 19)
    with pytest.raises(MsdaError, match="split test has no labels"):
        class_counts.read(manifest, "test")
    (tmp_path / "pictures").mkdir()
    Image.fromarray(raw_sets.image(0)).save(tmp_path / "pictures/a.jpg")
    plain = convert.prepare(folder.find(tmp_path / "pictures"), output=tmp_path, name="p").manifest
    assert plain.class_counts is None
    assert [path.name for path in plain.directory.glob("*counts*")] == []


def test_without_an_entry_of_ours_at_all(tmp_path):
    manifest = prepared.write(tmp_path, "toys")
    counts = class_counts.read(manifest, "train")
    assert counts.sum(0).tolist() == list(manifest.splits["train"].class_pixels)
    assert len(counts) == manifest.splits["train"].examples


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "class_counts.npy cannot be read .No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), "is damaged .its SHA-256 is not that of dataset.json"),
    ],
)
def test_damage_is_named(games, spoil, said):
    manifest, _ = games
    assert verify(manifest) == 7
    spoil(manifest.directory / "class_counts.npy")
    for use in (lambda: class_counts.read(manifest, "train"), lambda: verify(manifest)):
        with pytest.raises(MsdaError, match=said) as caught:
            use()
        assert "\n" not in str(caught.value)


def test_counts_of_other_labels_do_not_pass(games):
    manifest, _ = games
    rows = np.load(manifest.directory / "class_counts.npy")
    entry = class_counts.write(manifest.directory, rows[::-1])
    with pytest.raises(MsdaError, match="class_counts.npy: its counts of split .* are not dataset.json's"):
        verify(dataclasses.replace(manifest, class_counts=entry))
    entry = class_counts.write(manifest.directory, rows[1:])
    with pytest.raises(MsdaError, match=r"of shape \[6, 20\], uint32 of \[7, 20\] is expected"):
        class_counts.read(dataclasses.replace(manifest, class_counts=entry), "train")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01\x00\x02\x00{}",
        b"\x93NUMPY\x09\x00\x02\x00{}",
        b"\x93NUMPY\x01\x00\x0a\x00{'descr':(",
        pickle.dumps([1]),
        npy(np.zeros((7, 20), np.float32)),
        npy(np.asarray(np.zeros((7, 20), np.uint32), order="F")),
        npy(np.zeros((7, 20), np.uint32))[:-4],
        npy(np.zeros((7, 20), np.uint32)).replace(b"(7, 20)", b"(7000000000000, 20)"),
        npy(np.zeros((700, 20), np.uint32)),
    ],
)
def test_a_file_of_something_else_is_named_whatever_its_checksum(games, content):
    manifest, _ = games
    path = manifest.directory / "class_counts.npy"
    path.write_bytes(content)
    entry = manifests.CountsFile(path.name, files.sha256(path))
    with pytest.raises(MsdaError, match="class_counts.npy (does not fit dataset.json|cannot be read .Longer than)"):
        class_counts.read(dataclasses.replace(manifest, class_counts=entry), "train")


def test_a_hidden_copy_of_something_else_is_made_again(games):
    manifest, labels = games
    old = dataclasses.replace(manifest, class_counts=None)
    class_counts.read(old, "train")
    (hidden,) = manifest.directory.glob(".class_counts-*.npy")
    for content in (b"", npy(np.zeros((7, 20), np.int64)), npy(np.zeros((7, 20, 1), np.uint32))):
        hidden.write_bytes(content)
        assert class_counts.read(old, "train").tolist() == _expected(old, "train", labels)


def test_a_label_that_is_none_is_named(tmp_path):
    manifest = prepared.write(tmp_path, "toys", labelled=False)
    splits = {name: dataclasses.replace(split, labelled=True) for name, split in manifest.splits.items()}
    with pytest.raises(MsdaError, match=r"test-00000-of-00001.tfrecord: test/0000.png has no label"):
        class_counts.read(dataclasses.replace(manifest, splits=splits), "train")
