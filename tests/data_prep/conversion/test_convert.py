"""Conversion end to end: the pixels that training reads, the statistics, and what is refused."""

import csv
import io
import types

import cv2
import numpy as np
import pytest
import raw_sets
import tensorflow as tf
from PIL import Image

from msda_tf import lock
from msda_tf.data import manifest as manifests
from msda_tf.data import records, tfrecord
from msda_tf.data.writing.images import Storage
from msda_tf.data_prep.conversion import convert, shards
from msda_tf.data_prep.readers import cityscapes, folder, gta5, synthia
from msda_tf.errors import MsdaError, UsageError


def read_back(manifest, split):
    """File name -> (image, label or None), decoded by TensorFlow."""
    found = {}
    for serialized in tf.data.TFRecordDataset([str(path) for path in manifest.shard_paths(split)]):
        feature = tf.train.Example.FromString(serialized.numpy()).features.feature

        def content(key, feature=feature):
            return feature[key].bytes_list.value[0]

        image = tf.io.decode_png(content("image/encoded"), channels=3).numpy()
        label = None
        if "image/segmentation/class/encoded" in feature:
            label = tf.io.decode_png(content("image/segmentation/class/encoded")).numpy()[..., 0]
        found[content("image/filename").decode()] = image, label
    return found


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)


def test_gta5(tmp_path, small_shards):
    made = raw_sets.gta5(tmp_path / "raw", 7)
    raw = gta5.find(tmp_path / "raw", test_frames=3)
    manifest = convert.prepare(raw, output=tmp_path / "data", name="games").manifest
    assert manifest == manifests.read(tmp_path / "data" / "games")
    assert (manifest.name, manifest.kind, manifest.height, manifest.width) == ("games", "gta5", 65, 129)
    assert {name: split.examples for name, split in manifest.splits.items()} == {"train": 7, "test": 3}
    assert [shard.file for shard in manifest.splits["train"].shards] == [
        "test-00000-of-00002.tfrecord",
        "test-00001-of-00002.tfrecord",
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
    ]
    found = read_back(manifest, "train")
    assert list(found) == sorted(made)
    for name, (image, label) in made.items():
        np.testing.assert_array_equal(found[name][0], image)
        np.testing.assert_array_equal(found[name][1], label)
    assert list(read_back(manifest, "test")) == sorted(made)[:3]
    every_image = np.stack([image for image, _ in made.values()]).astype(np.float64)
    np.testing.assert_allclose(manifest.mean_rgb, every_image.mean((0, 1, 2)), rtol=1e-12)
    for split, names in (("train", sorted(made)), ("test", sorted(made)[:3])):
        labels = np.stack([made[name][1] for name in names])
        assert manifest.splits[split].class_pixels == tuple(int((labels == k).sum()) for k in range(19))
        assert manifest.splits[split].ignored_pixels == (labels == 255).sum()
    assert sorted(path.name for path in (tmp_path / "data/games").iterdir()) == sorted(
        ["class_counts.npy", "dataset.json", *(shard.file for shard in manifest.splits["train"].shards)]
    )


def test_stored_images_are_the_very_files(tmp_path):
    raw_sets.synthia(tmp_path / "raw", 2)
    manifest = convert.prepare(synthia.find(tmp_path / "raw"), output=tmp_path, name="s").manifest
    for path in manifest.shard_paths("train"):
        for record in map(records.from_example, tfrecord.read(path)):
            assert record.image == (tmp_path / "raw" / record.filename).read_bytes()
            with Image.open(io.BytesIO(record.label)) as label:
                assert label.mode == "L"


def test_scale(tmp_path):
    made = raw_sets.cityscapes(tmp_path / "raw", {"train": 2, "val": 1, "test": 1})
    raw = cityscapes.find(tmp_path / "raw")
    manifest = convert.prepare(raw, output=tmp_path, name="half", storage=Storage(0.5)).manifest
    assert (manifest.height, manifest.width) == (32, 64)
    total, pixels = 0, 0
    for name, (image, label) in read_back(manifest, "train").items():
        full, full_label = (Image.fromarray(array) for array in made[name])
        np.testing.assert_array_equal(image, np.asarray(full.resize((64, 32), Image.Resampling.BICUBIC)))
        np.testing.assert_array_equal(label, np.asarray(full_label.resize((64, 32), Image.Resampling.NEAREST)))
        total, pixels = total + image.sum((0, 1), np.int64), pixels + image.shape[0] * image.shape[1]
    np.testing.assert_allclose(manifest.mean_rgb, total / pixels, rtol=1e-12)
    assert sum(manifest.splits["val"].class_pixels) + manifest.splits["val"].ignored_pixels == 32 * 64
    assert [label for _, label in read_back(manifest, "test").values()] == [None]
    assert not manifest.splits["test"].labelled


def test_unlabelled_images_of_several_sizes_and_formats(tmp_path):
    (tmp_path / "raw/day").mkdir(parents=True)
    for name, height in (("day/a.png", 65), ("day/b.jpg", 65), ("c.png", 33)):
        Image.fromarray(raw_sets.image(1, height=height)).save(tmp_path / "raw" / name)
    prepared = convert.prepare(folder.find(tmp_path / "raw"), output=tmp_path, name="mine")
    manifest = prepared.manifest
    assert (manifest.height, manifest.width) == (65, 129)
    assert (manifest.training_split, manifest.evaluation_split) == ("train", None)
    assert manifest.splits["train"].class_pixels == (0,) * 19
    stored = [records.from_example(data) for path in manifest.shard_paths("train") for data in tfrecord.read(path)]
    assert [(r.filename, r.image_format, r.height, r.label) for r in stored] == [
        ("c.png", "png", 33, None),
        ("day/a.png", "png", 65, None),
        ("day/b.jpg", "jpeg", 65, None),
    ]


def test_every_pixel_weighs_the_same_in_the_mean(tmp_path):
    (tmp_path / "raw").mkdir()
    Image.new("RGB", (10, 10), (0, 0, 0)).save(tmp_path / "raw/small.png")
    Image.new("RGB", (30, 10), (200, 100, 40)).save(tmp_path / "raw/large.png")
    manifest = convert.prepare(folder.find(tmp_path / "raw"), output=tmp_path, name="a").manifest
    assert manifest.mean_rgb == (150, 75, 30)


def test_nothing_to_do_the_second_time(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 2)
    raw = gta5.find(tmp_path / "raw", test_frames=1)
    first = convert.prepare(raw, output=tmp_path, name="a")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    second = convert.prepare(raw, output=tmp_path, name="a")
    assert (first.reused, second.reused) == (0, 2)
    assert second.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()} == before
    third = convert.prepare(raw, output=tmp_path, name="a", force=True)
    assert (third.reused, third.manifest) == (0, first.manifest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"storage": Storage(0.5)}, "was prepared with scale = 1.0, now 0.5"),
        ({"storage": Storage(image_format="jpeg")}, "image_format = as it came, now jpeg"),
        ({"test_frames": 2}, "test_frames = 1, now 2"),
    ],
)
def test_other_options_are_refused(tmp_path, change, said):
    raw_sets.gta5(tmp_path / "raw", 3)
    root = tmp_path / "raw"
    convert.prepare(gta5.find(root, test_frames=1), output=tmp_path, name="a")
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    raw = gta5.find(root, test_frames=change.pop("test_frames", 1))
    with pytest.raises(UsageError, match=said):
        convert.prepare(raw, output=tmp_path, name="a", **change)
    assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    convert.prepare(raw, output=tmp_path, name="a", force=True, **change)
    convert.prepare(raw, output=tmp_path, name="a", **change)


def test_other_data_is_refused(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 3)
    raw_sets.synthia(tmp_path / "other", 3)
    convert.prepare(gta5.find(tmp_path / "raw"), output=tmp_path, name="a")
    with pytest.raises(UsageError, match="was prepared with dataset = gta5, now synthia"):
        convert.prepare(synthia.find(tmp_path / "other"), output=tmp_path, name="a")
    (tmp_path / "raw/images/00003.png").unlink()
    (tmp_path / "raw/labels/00003.png").unlink()
    with pytest.raises(UsageError, match="prepared from other files"):
        convert.prepare(gta5.find(tmp_path / "raw"), output=tmp_path, name="a")


def test_shards_of_unknown_origin_are_refused(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 1)
    (tmp_path / "a").mkdir()
    stranger = tmp_path / "a/train-00000-of-00001.tfrecord"
    stranger.write_bytes(b"of another tool")
    with pytest.raises(UsageError, match="shards of unknown origin"):
        convert.prepare(gta5.find(tmp_path / "raw"), output=tmp_path, name="a")
    assert stranger.read_bytes() == b"of another tool"


def test_two_at_a_time_refuse_each_other(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 1)
    raw = gta5.find(tmp_path / "raw")
    (tmp_path / "a").mkdir()
    with (
        lock.hold(tmp_path / "a", "msda-tf prepare"),
        pytest.raises(MsdaError, match="is being written by msda-tf prepare"),
    ):
        convert.prepare(raw, output=tmp_path, name="a")
    convert.prepare(raw, output=tmp_path, name="a")


def test_the_lock_of_a_dead_process_does_not_count(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 1)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.lock").write_text("1")
    convert.prepare(gta5.find(tmp_path / "raw"), output=tmp_path, name="a")


def _spoil(root):
    """Breaks six of ten frames, each in its own way; returns image name -> part of the reason."""
    images, labels = root / "images", root / "labels"
    whole = (images / "00002.png").read_bytes()
    (images / "00002.png").write_bytes(whole[: len(whole) // 2])
    (labels / "00003.png").write_bytes(b"")
    Image.fromarray(raw_sets.image(4, height=64)).save(images / "00004.png")
    Image.fromarray(raw_sets.ids(5, (7, 200))).save(labels / "00005.png")
    (labels / "00006.png").unlink()
    (labels / "00006.png").symlink_to("nowhere.png")
    content = bytearray((images / "00007.png").read_bytes())
    content[len(content) // 2] ^= 1
    (images / "00007.png").write_bytes(content)
    return {
        "images/00002.png": "truncated PNG",
        "images/00003.png": "empty file",
        "images/00004.png": "129x64, its label 129x65 pixels",
        "images/00005.png": "unknown class ids 200",
        "images/00006.png": "broken symbolic link",
        "images/00007.png": "wrong checksum",
    }


def _report(path):
    with open(path, newline="") as file:
        return {row["frame"]: row["reason"] for row in csv.DictReader(file)}


QUICK = ("images/00002.png", "images/00003.png", "images/00004.png", "images/00006.png")
"""The bad frames that show without decoding pixels."""


def test_skip(tmp_path, small_shards):
    made = raw_sets.gta5(tmp_path / "raw", 10)
    bad = _spoil(tmp_path / "raw")
    raw = gta5.find(tmp_path / "raw", test_frames=5)
    prepared = convert.prepare(raw, output=tmp_path, name="a", on_error="skip")
    assert list(read_back(prepared.manifest, "train")) == sorted(made.keys() - bad.keys())
    assert list(read_back(prepared.manifest, "test")) == ["images/00001.png"]
    report = _report(tmp_path / "a/rejected.csv")
    assert list(report) == list(bad)
    assert [bad.frame for bad in prepared.rejected] == list(report)
    for name, reason in bad.items():
        assert reason in report[name]
    good = np.stack([made[name][0] for name in sorted(made.keys() - bad.keys())])
    np.testing.assert_allclose(prepared.manifest.mean_rgb, good.astype(np.float64).mean((0, 1, 2)), rtol=1e-12)
    again = convert.prepare(raw, output=tmp_path, name="a", on_error="skip")
    assert again == convert.Prepared(prepared.manifest, prepared.rejected, (), 3)
    # Shards all of whose frames are bad leave no file behind.
    assert len(list((tmp_path / "a").glob("*.tfrecord"))) == 3


def test_fail_lists_them_all(tmp_path, small_shards):
    raw_sets.gta5(tmp_path / "raw", 10)
    bad = _spoil(tmp_path / "raw")
    raw = gta5.find(tmp_path / "raw", test_frames=5)
    with pytest.raises(MsdaError, match=r"4 frames cannot be used, first .*00002.png: truncated PNG.*rejected.csv"):
        convert.prepare(raw, output=tmp_path, name="a")
    assert tuple(_report(tmp_path / "a/rejected.csv")) == QUICK
    for name in QUICK:
        for kind in ("images", "labels"):
            (tmp_path / "raw" / kind / name[-9:]).unlink()
    raw = gta5.find(tmp_path / "raw", test_frames=5)
    with pytest.raises(MsdaError, match="2 frames cannot be used"):
        convert.prepare(raw, output=tmp_path, name="a")
    assert set(_report(tmp_path / "a/rejected.csv")) == bad.keys() - set(QUICK)
    assert manifests.available(tmp_path) == []


def test_a_repaired_frame_costs_only_its_shard(tmp_path, small_shards):
    raw_sets.gta5(tmp_path / "raw", 8)
    good = (tmp_path / "raw/labels/00005.png").read_bytes()
    Image.fromarray(raw_sets.ids(5, (7, 200))).save(tmp_path / "raw/labels/00005.png")
    raw = gta5.find(tmp_path / "raw", test_frames=2)
    with pytest.raises(MsdaError, match="1 frame cannot be used, first .*labels/00005.png: unknown class ids 200"):
        convert.prepare(raw, output=tmp_path, name="a")
    (tmp_path / "raw/labels/00005.png").write_bytes(good)
    prepared = convert.prepare(gta5.find(tmp_path / "raw", test_frames=2), output=tmp_path, name="a")
    assert prepared.reused == 3
    assert prepared.manifest.splits["train"].examples == 8
    assert not (tmp_path / "a/rejected.csv").exists()


def test_frames_skipped_before_still_count_when_asked_to_fail(tmp_path, monkeypatch):
    raw_sets.gta5(tmp_path / "raw", 4)
    Image.fromarray(raw_sets.ids(5, (7, 200))).save(tmp_path / "raw/labels/00001.png")
    raw = gta5.find(tmp_path / "raw", test_frames=2)
    monkeypatch.setattr(convert.Begun, "finish", lambda *_: 1 / 0)  # stopped right before the end
    with pytest.raises(ZeroDivisionError):
        convert.prepare(raw, output=tmp_path, name="a", on_error="skip")
    monkeypatch.undo()
    with pytest.raises(MsdaError, match="1 frame cannot be used"):
        convert.prepare(raw, output=tmp_path, name="a")


def test_the_two_frames_known_to_be_bad(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 2)
    for kind in ("images", "labels"):
        content = (tmp_path / f"raw/{kind}/00001.png").read_bytes()
        for name in ("15188", "17705"):
            (tmp_path / f"raw/{kind}/{name}.png").write_bytes(content)
    Image.fromarray(raw_sets.image(1, height=60)).save(tmp_path / "raw/images/15188.png")
    raw = gta5.find(tmp_path / "raw", test_frames=1)
    prepared = convert.prepare(raw, output=tmp_path, name="a")
    assert prepared.excluded == ("images/15188.png",)
    assert prepared.rejected == ()
    assert not (tmp_path / "a/rejected.csv").exists()
    # The other one is fine here, so there is no reason to leave it out.
    assert list(read_back(prepared.manifest, "train")) == [f"images/{n}.png" for n in ("00001", "00002", "17705")]
    assert convert.prepare(raw, output=tmp_path, name="a").excluded == ("images/15188.png",)


def test_no_frame_is_usable(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 2)
    for path in (tmp_path / "raw/labels").iterdir():
        cv2.imwrite(str(path), np.zeros((65, 129), np.uint16))
    raw = gta5.find(tmp_path / "raw", test_frames=1)
    with pytest.raises(MsdaError, match="has no usable frame"):
        convert.prepare(raw, output=tmp_path, name="a", on_error="skip")
    assert manifests.available(tmp_path) == []


def test_a_full_disk_is_noticed_before_the_work(tmp_path, monkeypatch):
    raw_sets.gta5(tmp_path / "raw", 2)
    monkeypatch.setattr(convert.shutil, "disk_usage", lambda _: types.SimpleNamespace(total=10, used=9, free=1))
    with pytest.raises(MsdaError, match="GB free: name another --output"):
        convert.prepare(gta5.find(tmp_path / "raw"), output=tmp_path, name="a")


def test_progress_is_told_of_every_frame(tmp_path, small_shards):
    raw_sets.gta5(tmp_path / "raw", 5)
    told = []
    raw = gta5.find(tmp_path / "raw", test_frames=2)
    convert.prepare(raw, output=tmp_path, name="a", workers=1, progress=lambda *args: told.append(args))
    assert told == [(stage, done, 5) for stage in ("checking", "converting") for done in range(6)]


def test_shard_sizes_follow_the_bytes(tmp_path, monkeypatch):
    raw_sets.gta5(tmp_path / "raw", 9)
    raw = gta5.find(tmp_path / "raw", test_frames=1)
    size = (tmp_path / "raw/images/00001.png").stat().st_size
    monkeypatch.setattr(shards, "SHARD_BYTES", 5 * size)
    plans = shards.plan(raw.parts[1], Storage())
    assert [len(plan.frames) for plan in plans] == [4, 4]
    assert [len(plan.frames) for plan in shards.plan(raw.parts[1], Storage(0.5))] == [8]
    assert [frame for plan in plans for frame in plan.frames] == list(raw.parts[1].frames)
