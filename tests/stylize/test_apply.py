"""Translated copies of prepared data sets: everything but the pixels stays, and a killed run goes on."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
from beam_jobs import TWO, spread_deadly, workers_find_this

from msda_tf import files
from msda_tf.data import class_counts, records, tfrecord
from msda_tf.data import manifest as manifests
from msda_tf.data.writing import notes
from msda_tf.data.writing.images import Storage
from msda_tf.data_prep.conversion.verify import verify
from msda_tf.errors import MsdaError, UsageError
from msda_tf.image_files.decode import decode
from msda_tf.stylize import apply as applying
from msda_tf.stylize.apply import apply

__all__ = ["workers_find_this"]


@pytest.fixture
def data(prepared_data, tmp_path):
    """The prepared data sets in a folder of their own, for new ones to be added."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("gta5", "cityscapes"):
        (folder / name).symlink_to(prepared_data / name)
    return folder


def contents(manifest, split):
    return [records.from_example(data) for path in manifest.shard_paths(split) for data in tfrecord.read(path)]


def test_labels_names_and_splits_stay_and_mean_and_provenance_are_its_own(data, stylize_run):
    seen = []
    made = apply(stylize_run, data=data, dataset="gta5", name="new", progress=lambda *state: seen.append(state))
    source = manifests.read(data / "gta5")
    assert verify(made) == 9 and seen[0] == (0, 9) and seen[-1] == (9, 9)
    assert (made.name, made.height, made.width) == ("new", 65, 129)
    assert (made.training_split, made.evaluation_split) == (source.training_split, source.evaluation_split)
    sums = np.zeros(3)
    for split in ("train", "test"):
        ours, theirs = contents(made, split), contents(source, split)
        assert [(r.filename, r.label, r.height, r.width) for r in ours] == [
            (r.filename, r.label, r.height, r.width) for r in theirs
        ]
        for new, old in zip(ours, theirs, strict=True):
            assert new.image_format == old.image_format == "png"
            picture = decode(new.image)
            assert not np.array_equal(picture, decode(old.image))
            if split == made.training_split:
                sums += picture.astype(np.float64).mean((0, 1))
        assert made.splits[split].class_pixels == source.splits[split].class_pixels
        assert made.splits[split].labelled
    np.testing.assert_allclose(made.mean_rgb, sums / made.splits["train"].examples, rtol=1e-9)
    assert made.options["stylize_run"] == str(stylize_run.directory.resolve())
    assert (made.options["stylize_step"], made.options["stylized_to"]) == (2, "cityscapes")
    assert made.options["stylize_source_sha256"] == files.sha256(data / "gta5" / "dataset.json")


def test_counts_of_classes_are_those_of_the_source(data, stylize_run):
    copy = data / "copy"
    shutil.copytree(data / "gta5", copy)
    source = manifests.read(copy)
    counts = class_counts.read(source, "train")
    entry = class_counts.write(copy, np.pad(counts, ((0, 0), (0, 1))))
    manifests.write(dataclasses.replace(source, name="copy", class_counts=entry), copy)
    made = apply(stylize_run, data=data, dataset="copy", name="new")
    assert made.class_counts == entry
    assert class_counts.read(made, "train").tolist() == counts.tolist()


def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(data, stylize_run, monkeypatch):
    whole = apply(stylize_run, data=data, dataset="gta5", name="whole")
    write_note, written = notes.write_note, []

    def killed(*arguments):
        write_note(*arguments)
        written.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(notes, "write_note", killed)
    with pytest.raises(KeyboardInterrupt):
        apply(stylize_run, data=data, dataset="gta5", name="killed")
    monkeypatch.undo()
    folder = data / "killed"
    assert len(written) == 1 and not (folder / "dataset.json").exists()
    (folder / ".train-00000-of-00001.tfrecord.123.part").write_bytes(b"half")  # what kill -9 leaves
    seen = []
    resumed = apply(stylize_run, data=data, dataset="gta5", name="killed", progress=lambda *s: seen.append(s))
    assert seen[0][0] > 0
    assert resumed.splits == whole.splits and resumed.mean_rgb == whole.mean_rgb
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in (data / "whole").iterdir())
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert apply(stylize_run, data=data, dataset="gta5", name="killed") == resumed
    assert times == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_another_data_set_and_jpeg(data, prepared_data, stylize_run):
    (data / "synthia").symlink_to(prepared_data / "synthia")
    made = apply(
        stylize_run, data=data, dataset="synthia", name="jpegs", storage=Storage(image_format="jpeg", jpeg_quality=80)
    )
    assert {record.image_format for record in contents(made, "test")} == {"jpeg"}
    verify(made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "cityscapes"}, "'cityscapes' is the run's target"),
        ({"name": "gta5"}, "--name gta5 is that of a data set the run was made from"),
        ({"name": "a/b"}, "--name a/b is no folder name"),
        ({"tile": 50}, "--tile 50 is not possible: it must be a multiple of 4, and 108 at least"),
        ({"step": 7}, "has no checkpoint of step 7, only 2"),
        ({"dataset": "mars"}, "'mars' is not prepared"),
    ],
)
def test_what_is_not_possible_is_refused(data, stylize_run, options, message):
    with pytest.raises(UsageError, match=message):
        apply(stylize_run, **{"data": data, "dataset": "gta5", "name": "new", **options})
    assert not (data / "new" / "dataset.json").exists()


def test_a_folder_made_otherwise_is_not_overwritten_unless_forced(data, stylize_run):
    jpeg = Storage(image_format="jpeg")
    apply(stylize_run, data=data, dataset="gta5", name="new")
    with pytest.raises(UsageError, match="was prepared with image_format = as it came, now jpeg is asked for"):
        apply(stylize_run, data=data, dataset="gta5", name="new", storage=jpeg)
    made = apply(stylize_run, data=data, dataset="gta5", name="new", storage=jpeg, force=True)
    assert made.options["image_format"] == "jpeg"


def test_a_damaged_shard_is_named(data, stylize_run, tmp_path):
    broken = tmp_path / "data" / "broken"
    broken.mkdir()
    for path in (data / "gta5").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    shard = next(iter(broken.glob("test-*.tfrecord")))
    content = bytearray(shard.read_bytes())
    content[200] ^= 255
    shard.write_bytes(content)
    with pytest.raises(MsdaError, match=f"{pathlib.Path(shard).name}: damaged record"):
        apply(stylize_run, data=data, dataset="broken", name="new")
    assert not list((data / "new").glob("test-*.tfrecord"))


def test_on_beam_the_bytes_are_the_same_though_a_worker_dies(
    data, stylize_run, tmp_path, monkeypatch, workers_find_this
):
    pytest.importorskip("apache_beam", reason="needs the extra beam")
    made = apply(stylize_run, data=data, dataset="gta5", name="new", storage=Storage(image_format="png"))
    expected = {path.name: path.read_bytes() for path in made.directory.iterdir()}
    shutil.rmtree(made.directory)
    seen = []
    monkeypatch.setattr(applying, "spread", spread_deadly(tmp_path / "died"))
    again = apply(
        stylize_run,
        data=data,
        dataset="gta5",
        name="new",
        storage=Storage(image_format="png"),
        runner=TWO,
        progress=lambda *state: seen.append(state),
    )
    assert {path.name: path.read_bytes() for path in again.directory.iterdir()} == expected
    assert seen[0] == (0, 9) and seen[-1] == (9, 9) and (tmp_path / "died").exists()
