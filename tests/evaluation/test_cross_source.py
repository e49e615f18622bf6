"""What follows from the cross-source table: temperatures, weights, and what stands in for what S-All has not seen."""

import json

import numpy as np
import pytest

from msda_tf.evaluation import cross_source
from msda_tf.evaluation.calibration import TEMPERATURES, tally
from msda_tf.evaluation.cross_source import Cell
from msda_tf.labels import IGNORE
from msda_tf.state_file import Damaged


def cell(*, seen, best, nll, iou=(0.5, 0.5, 0.0), images=3):
    """A cell that fits best at a temperature, with so many nats there; class 2 does not occur if its IoU is 0."""
    curve = nll + np.log2(TEMPERATURES / best) ** 2
    confusion = np.zeros((3, 4), np.int64)
    for label, value in enumerate(iou):
        if value:
            confusion[label, label], confusion[label, 3] = round(1000 * value), round(1000 * (1 - value))
    return Cell(seen, images, confusion, curve, *(np.full(len(TEMPERATURES), 0.5) for _ in range(4)))


def table():
    return {
        "S1": {"a": cell(seen=True, best=1, nll=0.2), "b": cell(seen=False, best=2, nll=0.5, iou=(0.8, 0.2, 0.0))},
        "S2": {"a": cell(seen=False, best=4, nll=1.2), "b": cell(seen=True, best=1, nll=0.3)},
        "S-All": {"a": cell(seen=True, best=1, nll=0.1), "b": cell(seen=True, best=1, nll=0.3)},
    }


def test_branches_are_judged_by_what_they_have_not_seen():
    found = cross_source.calibrations(table())
    assert found["S1"].temperature == pytest.approx(2) and found["S1"].nll == pytest.approx(0.5)
    assert (found["S1"].basis, found["S1"].sources, found["S2"].sources) == ("unseen", ("b",), ("a",))
    assert found["S2"].temperature == pytest.approx(4) and found["S2"].weight == pytest.approx(np.exp(-1.2))


def test_s_all_takes_the_others_step_from_seen_to_unseen():
    """Temperatures grow by factors of 2 and 4, nats by 0.3 and 0.9: half of the mean on S-All's own 1 and 0.2."""
    pooled = cross_source.calibrations(table())["S-All"]
    assert pooled.temperature == pytest.approx(2**0.75) and pooled.nll == pytest.approx(0.2 + 0.3)
    assert (pooled.basis, pooled.sources) == ("shifted", ("a", "b"))


def test_alone_it_has_what_it_has_seen():
    alone = cross_source.calibrations({"S-All": table()["S-All"]})["S-All"]
    assert (alone.temperature, alone.basis) == (pytest.approx(1), "seen") and alone.nll == pytest.approx(0.2)


def test_of_three_sources_two_are_unseen_and_count_alike():
    row = {
        "a": cell(seen=True, best=1, nll=0.1),
        "b": cell(seen=False, best=2, nll=1.0),
        "c": cell(seen=False, best=2, nll=0.4, images=300),
    }
    found = cross_source.calibrations({"S1": row})["S1"]
    assert found.nll == pytest.approx(0.7) and found.sources == ("b", "c")


def test_a_class_weighs_by_its_iou_against_the_mean_and_an_unknown_one_as_the_branch():
    weights = cross_source.calibrations(table())["S1"].class_weights
    np.testing.assert_allclose(weights, np.exp(-0.5) * np.array([0.8 / 0.5, 0.2 / 0.5, 1.0]))
    never = cross_source.calibrations({"S1": {"b": cell(seen=False, best=2, nll=0.0, iou=(1.0, 1e-9, 0.0))}})["S1"]
    assert never.class_weights[1] == pytest.approx(0.05)


def unlabelled():
    labels = np.full(5, IGNORE, np.uint8)
    return Cell.of(tally(np.zeros((5, 3)), labels), np.zeros((3, 4), np.int64), seen=False, images=1)


def test_cells_without_a_labelled_pixel_count_for_nothing():
    """A source whose classes the list lacks has labels that are ignored everywhere."""
    rows = table()
    rows["S1"]["c"] = unlabelled()
    assert cross_source.calibrations(rows)["S1"].sources == ("b",)
    assert cross_source.calibrations({"S1": {"c": unlabelled()}, "S2": {}}) == {}


def test_reads_back():
    rows = table()
    rows["S1"]["c"] = unlabelled()
    text = json.dumps(cross_source.to_json(rows), allow_nan=False)
    again = cross_source.from_json(json.loads(text), 3)
    assert json.dumps(cross_source.to_json(again)) == text
    before, after = cross_source.calibrations(rows), cross_source.calibrations(again)
    assert {name: each.temperature for name, each in before.items()} == {n: e.temperature for n, e in after.items()}
    assert np.isnan(again["S1"]["c"].nll).all() and again["S1"]["b"].miou == pytest.approx((0.8 + 0.2) / 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("confusion", None),
        ("confusion", [[1, 2]]),
        ("confusion", [[1, 2, 3, -1]] * 3),
        ("nll", [1.0]),
        ("nll", ["x"] * len(TEMPERATURES)),
        ("seen", 1),
        ("images", -1),
    ],
)
def test_damage_is_named(key, value):
    written = cross_source.to_json(table())
    written["S1"]["a"][key] = value
    with pytest.raises(Damaged, match=key):
        cross_source.from_json(written, 3)
