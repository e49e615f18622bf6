"""dataset.json: round trip, and what is said about one that is missing or damaged."""

import dataclasses
import json
import os

import pytest

from msda_tf.data import manifest as manifests
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import ClassList

SHARED = manifests.Shard("test-00000-of-00001.tfrecord", 3, 1000, "ab" * 32)
OWN = manifests.Shard("train-00000-of-00001.tfrecord", 4, 2000, "cd" * 32)
MANIFEST = manifests.Manifest(
    name="toys",
    kind="custom",
    classes=ClassList(("duck", "sky"), ((255, 255, 0), (0, 0, 255))),
    height=65,
    width=129,
    mean_rgb=(1.5, 2.25, 1 / 3),
    splits={
        "train": manifests.Split((SHARED, OWN), True, (10, 20), 5),
        "test": manifests.Split((SHARED,), True, (3, 4), 0),
    },
    training_split="train",
    evaluation_split="test",
    options={"scale": 0.5},
)


def test_round_trip(tmp_path):
    manifests.write(MANIFEST, tmp_path)
    assert manifests.read(tmp_path) == dataclasses.replace(MANIFEST, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [manifests.FILE_NAME]


def test_shards_are_shared(tmp_path):
    manifests.write(MANIFEST, tmp_path)
    found = manifests.read(tmp_path)
    assert found.shard_paths("train") == [tmp_path / SHARED.file, tmp_path / OWN.file]
    assert (found.splits["train"].examples, found.splits["test"].examples) == (7, 3)


def test_never_prepared(tmp_path):
    with pytest.raises(MsdaError, match=r"toys/dataset\.json does not exist: .* run msda-tf prepare"):
        manifests.read(tmp_path / "toys")


def _without(key):
    def edit(value):
        del value["splits"]["train"][key]

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda value: value.update(format=99), "is not of format 1"),
        (lambda value: value.update(classes=None), "is damaged"),
        (_without("shards"), "damaged .at splits.train.shards: missing"),
        (
            lambda value: value["splits"]["train"]["class_pixels"].pop("duck"),
            "damaged .at splits.train.class_pixels.duck",
        ),
        (lambda value: value["splits"]["test"]["shards"][0].pop("sha256"), "damaged .*sha256"),
    ],
)
def test_damage_is_named(tmp_path, edit, said):
    value = manifests.to_json(MANIFEST)
    edit(value)
    (tmp_path / manifests.FILE_NAME).write_text(json.dumps(value, default=vars))
    with pytest.raises(MsdaError, match=said) as caught:
        manifests.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_other_content(tmp_path, text):
    (tmp_path / manifests.FILE_NAME).write_text(text)
    with pytest.raises(MsdaError, match="prepare the data set again"):
        manifests.read(tmp_path)


def test_available_and_find(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        manifests.write(dataclasses.replace(MANIFEST, name=name), tmp_path / name)
    (tmp_path / "unfinished").mkdir()
    assert manifests.available(tmp_path) == ["a", "b"]
    assert manifests.find(tmp_path, "b").name == "b"
    with pytest.raises(UsageError, match="'unfinished' is not prepared .*prepared there: a, b"):
        manifests.find(tmp_path, "unfinished")
    assert manifests.available(tmp_path / "nowhere") == []


DAY, NIGHT = (manifests.Shard(f"train_{time}-00000-of-00001.tfrecord", 2, 9, "ef" * 32) for time in ("day", "night"))
CITY = dataclasses.replace(
    MANIFEST,
    name="city",
    splits={
        "train": manifests.Split((DAY, NIGHT), False, (0, 0), 0, (2.0, 2.0, 2.0)),
        "train_day": manifests.Split((DAY,), False, (0, 0), 0, (3.0, 3.0, 3.0)),
        "train_night": manifests.Split((NIGHT,), False, (0, 0), 0, (1.0, 1.0, 1.0)),
        "val": manifests.Split((SHARED,), True, (3, 4), 0),
        "val_night": manifests.Split((SHARED,), True, (3, 4), 0),
    },
    evaluation_split="val",
)


def test_under_one_condition(tmp_path):
    (tmp_path / "city").mkdir()
    manifests.write(CITY, tmp_path / "city")
    night = manifests.find(tmp_path, "city:night")
    assert (night.name, night.training_split, night.evaluation_split) == ("city:night", "train_night", "val_night")
    assert night.mean_rgb == (1.0, 1.0, 1.0)
    assert night.splits == CITY.splits
    day = manifests.find(tmp_path, "city:day")
    assert (day.training_split, day.evaluation_split) == ("train_day", None)  # no such frames to score
    with pytest.raises(UsageError, match="data set 'city' has no condition 'dusk': it has day, night"):
        manifests.find(tmp_path, "city:dusk")
    (tmp_path / "toys").mkdir()
    manifests.write(MANIFEST, tmp_path / "toys")
    with pytest.raises(UsageError, match="'toys' has no condition 'night': its splits are not divided by condition"):
        manifests.find(tmp_path, "toys:night")
    with pytest.raises(UsageError, match="data set 'town' is not prepared"):
        manifests.find(tmp_path, "town:night")


WRONG = [None, "", "x", "../x", -1, 10**30, 1e308, float("nan"), float("inf"), True, [], {}, [[]], "\x1b[31m\n"]


def _places(value, place=()):
    """The way to every value of nested lists and dictionaries."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*place, key))


def test_no_wrong_value_gets_further_than_one_line(tmp_path):
    """Every value in turn becomes every wrong one: it is refused by its key, or it is one that nothing reads."""
    whole = json.dumps(manifests.to_json(MANIFEST) | {"class_counts": {"file": "a.npy", "sha256": "ab"}})
    path = tmp_path / manifests.FILE_NAME
    refused = 0
    for place in list(_places(json.loads(whole)))[1:]:
        for wrong in WRONG:
            value = json.loads(whole)
            at = value
            for key in place[:-1]:
                at = at[key]
            at[place[-1]] = wrong
            path.write_text(json.dumps(value))
            try:
                found = manifests.read(tmp_path)
            except MsdaError as error:
                refused += 1
                assert str(error).startswith(str(path)) and "\n" not in str(error) and len(str(error)) < 400
                assert place[0] in str(error) or place[0] in ("format", "training_split", "evaluation_split", "classes")
            else:
                assert found.max_pixels >= 1 and found.shard_paths(found.training_split) is not None
    assert refused > 400


def test_files_that_are_none(tmp_path):
    path = tmp_path / manifests.FILE_NAME
    path.write_text("[" * 10**5)
    with pytest.raises(MsdaError, match="nested too deeply"):
        manifests.read(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(MsdaError, match="Not a regular file"):
        manifests.read(tmp_path)
