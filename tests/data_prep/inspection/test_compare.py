"""Several data sets beside one another: shares, what is missing where, and the classes that they have in common."""

import dataclasses

import pytest
import yaml

from msda_tf.data.manifest import Manifest, Shard, Split
from msda_tf.data_prep.inspection import compare
from msda_tf.errors import UsageError
from msda_tf.labels import CITYSCAPES_CLASSES, ClassList

SHARDS = (Shard("train-00000-of-00001.tfrecord", 1, 1, "0" * 64),)


def _set(name, pixels, ignored=0, *, names=("road", "sky", "car", "train"), labelled=True):
    classes = ClassList(tuple(names), tuple((number, 0, 0) for number in range(len(names))))
    split = Split(SHARDS, labelled, tuple(pixels), ignored)
    return Manifest(name, "custom", classes, 1, 1, (0.0, 0.0, 0.0), {"train": split}, "train", None)


GAMES = _set("games", (5000, 2000, 3000, 0), 10000)
TOWN = _set("town", (8000, 1, 999, 1000))
BARE = _set("bare", (0, 0, 0, 0), labelled=False)
COARSE = _set("coarse", (60, 40), names=("road", "rest"))


def test_shares_side_by_side():
    assert compare.table([GAMES, TOWN, BARE, COARSE]) == [
        ["road", "50.00 %", "80.00 %", "?", "60.00 %"],
        ["sky", "20.00 %", "0.010 %", "?", "-"],
        ["car", "30.00 %", "9.99 %", "?", "-"],
        ["train", "none", "10.00 %", "?", "-"],
        ["rest", "-", "-", "-", "40.00 %"],
        ["no class", "50.00 %", "0.00 %", "?", "0.00 %"],
    ]


@pytest.mark.parametrize(
    ("sets", "targets", "expected"),
    [
        ([GAMES, TOWN], [TOWN], ["No source teaches train, which town has, 10.00 % of its pixels."]),
        ([GAMES, TOWN], [GAMES], []),
        ([GAMES, BARE], [], ["No source teaches train, which bare has."]),
        ([GAMES, TOWN, BARE], [], []),
        ([GAMES, TOWN], [], ["Only town shows train: as a target, it had no source for that."]),
        ([GAMES, dataclasses.replace(GAMES)], [], ["None of them shows train: no source teaches it."]),
    ],
)
def test_what_no_source_teaches(sets, targets, expected):
    assert compare.sentences(sets, targets) == expected


def test_lists_that_differ_and_the_list_that_fits():
    (differ,) = compare.sentences([GAMES, COARSE], [GAMES])[:1]
    assert "Their lists of classes differ: 2 (coarse) and 4 (games) classes." in differ
    assert "--class-map FILE" in differ
    nineteen = _set("gta5", [1] * 19, names=CITYSCAPES_CLASSES.names)
    eleven = _set(
        "camvid",
        [1] * 11,
        names=(
            "sky",
            "building",
            "pole",
            "road",
            "pavement",
            "tree",
            "sign",
            "fence",
            "car",
            "pedestrian",
            "bicyclist",
        ),
    )
    assert "prepare them on one: --classes idd-7." in compare.sentences([nineteen, eleven], [eleven])[0]
    four = "prepare them on one: --classes camvid-11, cityscapes-19, idd-7, synthia-13 or synthia-16."
    assert four in compare.sentences([nineteen, GAMES], [GAMES])[0]


def test_common_classes(tmp_path):
    assert compare.write_common([TOWN, BARE, GAMES], tmp_path / "map.yaml") == ["road", "sky", "car"]
    written = yaml.safe_load((tmp_path / "map.yaml").read_text())
    assert written["classes"][1] == {"name": "sky", "color": [1, 0, 0]}
    assert (written["map"]["car"], written["ignore"]) == (["car"], "rest")
    with pytest.raises(UsageError, match="games, coarse have road in common by name: map one to the other's classes"):
        compare.write_common([GAMES, COARSE], tmp_path / "map.yaml")
    with pytest.raises(UsageError, match="--common needs two data sets with labels"):
        compare.write_common([GAMES, BARE], tmp_path / "map.yaml")
