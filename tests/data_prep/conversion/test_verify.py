"""Verification: passes on what prepare wrote, and notices each kind of damage."""

import dataclasses

import pytest
import raw_sets

from msda_tf import files
from msda_tf.data import manifest as manifests
from msda_tf.data import records, tfrecord
from msda_tf.data.writing import label_maps
from msda_tf.data.writing.images import Storage
from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.conversion.verify import verify
from msda_tf.data_prep.readers import gta5
from msda_tf.errors import MsdaError


@pytest.fixture
def manifest(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 4)
    raw = gta5.find(tmp_path / "raw", test_frames=1)
    return convert.prepare(raw, output=tmp_path, name="a").manifest


def test_good(manifest):
    told = []
    assert verify(manifest, progress=lambda *args: told.append(args)) == 4
    assert sorted(told) == [("verifying", done, 4) for done in (1, 2, 3, 4)]


def test_good_jpeg(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 2)
    storage = Storage(0.5, "jpeg", 50)
    raw = gta5.find(tmp_path / "raw")
    assert verify(convert.prepare(raw, output=tmp_path, name="j", storage=storage).manifest) == 2


def test_one_bit(manifest):
    path = manifest.shard_paths("train")[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(MsdaError, match="train-00000-of-00001.tfrecord: its SHA-256 .* prepare .* again with --force"):
        verify(manifest)


def test_a_cut_and_a_missing_shard(manifest):
    first, second = manifest.shard_paths("train")
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    with pytest.raises(MsdaError, match=r"test-00000-of-00001.tfrecord: \d+ bytes, \d+ expected .2 problems in all"):
        verify(manifest)


def _rewritten(manifest, edit):
    """The manifest after `edit(record)` replaced the records of the train shard, with checksums that fit."""
    path = manifest.shard_paths("train")[1]
    edited = [edit(records.from_example(data)) for data in tfrecord.read(path)]
    path.write_bytes(b"".join(tfrecord.frame(records.to_example(record)) for record in edited if record))
    split = manifest.splits["train"]
    shard = dataclasses.replace(split.shards[1], bytes=path.stat().st_size, sha256=files.sha256(path))
    splits = manifest.splits | {"train": dataclasses.replace(split, shards=(split.shards[0], shard))}
    return dataclasses.replace(manifest, splits=splits)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda r: dataclasses.replace(r, height=64), "129x65 pixels, unlike its keys"),
        (lambda r: dataclasses.replace(r, image_format="jpeg"), "unlike its keys"),
        (lambda r: dataclasses.replace(r, label=None), "has no label"),
        (lambda r: dataclasses.replace(r, label=r.label[:-9]), "truncated PNG"),
        (lambda r: dataclasses.replace(r, image=r.image[:-9]), "truncated PNG"),
        (lambda r: dataclasses.replace(r, label=r.image), "is not 8-bit greyscale"),
        (lambda r: None if r.filename.endswith("2.png") else r, "2 records, 3 expected"),
        (lambda r: dataclasses.replace(r, label=_label(19)), "neither a class nor 255"),
        (lambda r: dataclasses.replace(r, label=_label(0)), "pixels per class of split train"),
        (lambda r: dataclasses.replace(r, image=_image(), image_format="png"), "the mean of split train"),
    ],
)
def test_wrong_content_with_right_checksums(manifest, edit, said):
    with pytest.raises(MsdaError, match=said) as caught:
        verify(_rewritten(manifest, edit))
    assert "\n" not in str(caught.value)


def _label(value):
    import numpy as np

    return label_maps.encode(np.full((65, 129), value, np.uint8))


def _image():
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (129, 65)).save(file, "PNG")
    return file.getvalue()


def test_wrong_statistics(manifest):
    with pytest.raises(MsdaError, match="the mean of split train"):
        verify(dataclasses.replace(manifest, mean_rgb=(0.0, 0.0, 0.0)))
    manifests.write(manifest, manifest.directory)
    assert verify(manifests.read(manifest.directory)) == 4
