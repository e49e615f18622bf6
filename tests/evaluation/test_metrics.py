"""metrics.json: its form, its numbers, and reading it back."""

import dataclasses
import json

import numpy as np
import pytest

from msda_tf.errors import MsdaError
from msda_tf.evaluation import metrics
from msda_tf.evaluation.confusion import class_iou
from msda_tf.evaluation.resolution import Counter, Resolution


def example(no_class=0):
    first = np.array([[6, 2, 0, no_class], [1, 3, 0, 0], [0, 0, 0, 0]])
    return metrics.Metrics(
        target="town",
        split="val",
        images=7,
        class_names=("road", "car", "train"),
        matrices={"S1": first, "Max Merge": np.diag([8, 4, 0])[:, [0, 1, 2, 2]]},
    )


def test_form_and_numbers(tmp_path):
    metrics.write(example(), tmp_path / "metrics.json")
    value = json.loads((tmp_path / "metrics.json").read_text())
    assert value == {
        "target": "town",
        "split": "val",
        "images": 7,
        "branches": {
            "S1": {
                "miou_19": pytest.approx((6 / 9 + 3 / 6) / 3),
                "miou_present": pytest.approx((6 / 9 + 3 / 6) / 2),
                "iou": {"road": pytest.approx(6 / 9), "car": 0.5, "train": None},
                "confusion": [[6, 2, 0], [1, 3, 0], [0, 0, 0]],
            },
            "Max Merge": {
                "miou_19": pytest.approx(2 / 3),
                "miou_present": 1.0,
                "iou": {"road": 1.0, "car": 1.0, "train": None},
                "confusion": [[8, 0, 0], [0, 4, 0], [0, 0, 0]],
            },
        },
    }
    assert list(value["branches"]) == ["S1", "Max Merge"]


@pytest.mark.parametrize("no_class", [0, 5])
def test_reads_back_what_it_wrote(tmp_path, no_class):
    before = example(no_class)
    metrics.write(before, tmp_path / "metrics.json")
    after = metrics.read(tmp_path / "metrics.json")
    assert (after.target, after.split, after.images) == ("town", "val", 7)
    assert after.class_names == before.class_names
    assert list(after.matrices) == list(before.matrices)
    for branch, matrix in before.matrices.items():
        assert after.matrices[branch].dtype == np.int64
        np.testing.assert_array_equal(after.matrices[branch], matrix)


def test_the_size_that_was_scored_at_is_kept(tmp_path):
    sizes = Counter(0.5)
    for shape in ((64, 128), (65, 129, 3), (65, 129)):
        sizes.see(np.zeros(shape, np.uint8))
    metrics.write(dataclasses.replace(example(), resolution=sizes.resolution), tmp_path / "metrics.json")
    value = json.loads((tmp_path / "metrics.json").read_text())
    assert value["resolution"] == {"sizes": {"129x65": 2, "128x64": 1}, "prepared_at": 0.5}
    found = metrics.read(tmp_path / "metrics.json").resolution
    assert found == sizes.resolution and found.of(3) == "3 images of 129x65 and 128x64"
    assert "prepared at 0.5 of its own size" in found.notes("town")[0]


@pytest.mark.parametrize(("prepared_at", "count"), [(None, 0), (1.0, 0), (0.25, 1)])
def test_only_another_size_than_the_images_own_has_a_note(prepared_at, count):
    assert len(Resolution({"8x4": 1}, prepared_at).notes("town")) == count
    assert Resolution({}, prepared_at).of(1) == "1 image"
    assert Resolution({"8x4": 1, "9x4": 1, "7x4": 1}).of(3) == "3 images of 8x4 and 2 other sizes"


@pytest.mark.parametrize(
    "found", [1, {}, {"sizes": {"8": 1}}, {"sizes": {"8x4": -1}}, {"sizes": {}, "prepared_at": "a"}]
)
def test_a_damaged_size_is_refused(tmp_path, found):
    value = metrics.to_json(example()) | {"resolution": found}
    (tmp_path / "metrics.json").write_text(json.dumps(value))
    with pytest.raises(MsdaError, match="is damaged"):
        metrics.read(tmp_path / "metrics.json")


def test_pixels_of_no_class_are_told_only_where_there_are_any():
    assert "no_class" not in metrics.to_json(example())["branches"]["S1"]
    entry = metrics.to_json(example(no_class=5))["branches"]["S1"]
    assert entry["no_class"] == [5, 0, 0]
    assert entry["iou"]["road"] == pytest.approx(6 / 14)


def test_all_ignored_gives_null(tmp_path):
    empty = metrics.Metrics("town", "val", 1, ("road", "car"), {"S1": np.zeros((2, 3), np.int64)})
    metrics.write(empty, tmp_path / "metrics.json")
    entry = json.loads((tmp_path / "metrics.json").read_text())["branches"]["S1"]
    assert (entry["miou_19"], entry["miou_present"]) == (0.0, None)
    assert np.isnan(class_iou(metrics.read(tmp_path / "metrics.json").matrices["S1"])).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist: run msda-tf evaluate"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"target": "town", "split": "val", "images": 7}', "is damaged .branches is missing"),
        (
            '{"target": "t", "split": "v", "images": 7, "branches": {"S1": {"iou": {"a": 1}, "confusion": [[1, 2]]}}}',
            "is damaged",
        ),
    ],
)
def test_missing_or_damaged_file(tmp_path, text, message):
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MsdaError, match=message) as error:
        metrics.read(path)
    assert str(path) in str(error.value)
