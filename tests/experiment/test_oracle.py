"""The target's labels as a source: nothing of the test split, and no copy of the data."""

import shutil

import numpy as np
import prepared
import pytest

from msda_tf import train
from msda_tf.config import resolve
from msda_tf.data import pipeline
from msda_tf.errors import UsageError
from msda_tf.experiment import oracle


def names_of(manifest, count):
    batches = pipeline.training_batches(
        manifest, labelled=True, image_size=(65, 129), batch_size=1, seed=0, stream="oracle"
    )
    return {batch["filename"].numpy()[0].decode() for batch in batches.take(count)}


def test_the_oracle_trains_on_all_labelled_images_but_the_test_images(prepared_data, tmp_path):
    manifest = oracle.link(prepared_data, "gta5", tmp_path)
    assert names_of(manifest, 12) == {f"train/{number:04d}.png" for number in range(6)}  # two epochs
    found = {"target": "gta5", "sources": ["gta5_labelled"], "data": str(tmp_path), "adapt": False}
    config, _ = resolve(preset="tiny", settings=found)
    assert set(train.load_manifests(config)) == {"gta5", "gta5_labelled"}
    (split,) = manifest.splits.values()
    pixels = np.zeros(256, np.int64)
    for example in pipeline.evaluation_images(manifest, "train"):
        pixels += np.bincount(example["label"].numpy().ravel(), minlength=256)
    assert tuple(pixels[:19]) == split.class_pixels and pixels[255] == split.ignored_pixels


def test_links_follow_the_data_and_the_manifest_stays_the_same(prepared_data, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(prepared_data, first)
    oracle.link(first, "gta5", tmp_path / "links")
    written = tmp_path / "links" / "gta5_labelled" / "dataset.json"
    before = written.read_bytes(), written.stat().st_mtime_ns
    first.rename(second)
    manifest = oracle.link(second, "gta5", tmp_path / "links")
    assert (written.read_bytes(), written.stat().st_mtime_ns) == before  # runs notice data that was prepared anew
    assert len(names_of(manifest, 6)) == 6
    assert not list((tmp_path / "links").rglob("*.part"))


def test_a_target_without_further_labels_is_refused(tmp_path):
    prepared.write(tmp_path, "bare", labelled=False)
    with pytest.raises(UsageError, match="'bare' has no labelled images besides its test images"):
        oracle.link(tmp_path, "bare", tmp_path / "links")
