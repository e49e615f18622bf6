"""Submissions, against cityscapesScripts' own tables and its search for results."""

import pathlib

import numpy as np
import pytest

from msda_tf.errors import UsageError
from msda_tf.labels import CITYSCAPES_CLASSES, ClassList
from msda_tf.prediction import submission


def paths(*names):
    return [pathlib.PurePath(name) for name in names]


def test_label_ids_are_those_of_cityscapesscripts():
    table = pytest.importorskip("cityscapesscripts.helpers.labels").trainId2label
    train_ids = np.arange(19, dtype=np.uint8)[None]
    assert submission.label_ids(train_ids).tolist() == [[table[index].id for index in range(19)]]
    assert submission.label_ids(train_ids).dtype == np.uint8


def test_names_are_found_by_cityscapesscripts(tmp_path, monkeypatch):
    script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    frames = ["berlin/berlin_000000_000019_leftImg8bit.png", "bad-honnef/bad-honnef_000001_000029_leftImg8bit.png"]
    for name in submission.names(paths(*frames)).values():
        (tmp_path / name).touch()
    monkeypatch.setattr(script.args, "predictionPath", str(tmp_path), raising=False)
    monkeypatch.setattr(script.args, "predictionWalk", None)
    for frame in ("berlin_000000_000019", "bad-honnef_000001_000029"):
        found = script.getPrediction(script.args, f"{frame}_gtFine_labelIds.png")
        assert pathlib.Path(found).name == f"{frame}_labelIds.png"


def test_names_that_do_not_fit():
    with pytest.raises(UsageError, match="holiday.png is not named as a Cityscapes frame"):
        submission.names(paths("holiday.png"))
    with pytest.raises(UsageError, match="the same frame berlin_000000_000019"):
        submission.names(paths("a/berlin_000000_000019_leftImg8bit.png", "b/berlin_000000_000019.png"))


def test_other_classes_are_refused():
    submission.check_classes(CITYSCAPES_CLASSES)
    with pytest.raises(UsageError, match="needs the 19 of Cityscapes"):
        submission.check_classes(ClassList(("road",), ((0, 0, 0),)))
