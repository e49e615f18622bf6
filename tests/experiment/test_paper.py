"""The paper's two tables against each other and against what its text says of them."""

import statistics

import pytest

from msda_tf.experiment import paper
from msda_tf.labels import CITYSCAPES_CLASSES

ROWS = [(target, scale) for target in ("cityscapes", "synthia", "gta5") for scale in (1.0, 0.5)]


def figures(target, scale):
    return paper.figures(target, scale, paper.SOURCES[target])


def test_the_rows_of_table_2_average_to_table_1():
    shown = {(target, column) for target in paper.SOURCES for column in paper.class_figures(target, 1.0)}
    assert len(shown) == 4
    for target, column in shown:
        classes = paper.class_figures(target, 1.0)[column]
        assert tuple(classes) == CITYSCAPES_CLASSES.names
        assert statistics.fmean(classes.values()) == pytest.approx(figures(target, 1.0)[column], abs=0.026)


def test_differences_that_the_text_states():
    merged = {row: figures(*row)["Max Merge"] for row in ROWS}
    # Halving the images costs 1.44 and 4.41 points, and brings GTA5 3.29.
    assert merged["cityscapes", 1.0] - merged["cityscapes", 0.5] == pytest.approx(1.44)
    assert merged["synthia", 1.0] - merged["synthia", 0.5] == pytest.approx(4.41)
    assert merged["gta5", 0.5] - merged["gta5", 1.0] == pytest.approx(3.29)
    # Merging brings 0.4 to 1.2 points over S-All, but for GTA5 at full size; over No Adapt 1.5 to 2.8.
    over_s_all = [merged[row] - figures(*row)["S-All"] for row in ROWS]
    assert over_s_all == pytest.approx([0.95, 0.43, 1.15, 0.24, -1.08, 0.91])
    over_no_adapt = [merged[target, 1.0] - figures(target, 1.0)["No Adapt"] for target in paper.SOURCES]
    assert over_no_adapt == pytest.approx([2.78, 1.97, 1.52])
    # One source alone beats both S-All and the merge on GTA5, at either size.
    for scale in (1.0, 0.5):
        row = figures("gta5", scale)
        assert row["S1"] > max(row["S-All"], row["Max Merge"])


def test_s1_and_s2_are_those_of_the_data_sets_given():
    assert figures("gta5", 1.0)["S1"] == 41.17  # cityscapes
    swapped = paper.figures("gta5", 1.0, ("synthia", "cityscapes"))
    assert (swapped["S1"], swapped["S2"]) == (23.60, 41.17)
    assert {k: v for k, v in swapped.items() if k not in ("S1", "S2")} == {
        k: v for k, v in figures("gta5", 1.0).items() if k not in ("S1", "S2")
    }


def test_what_the_paper_does_not_report_is_not_there():
    assert paper.figures("mycity", 1.0, ("gta5", "synthia")) == {}
    assert paper.figures("cityscapes", 0.25, ("gta5", "synthia")) == {}
    assert paper.figures("cityscapes", 1.0, ("gta5", "mycity")) == paper.figures("cityscapes", 1.0, ("gta5",)) == {}
    assert [row for row in ROWS if "No Adapt" in figures(*row)] == [(target, 1.0) for target in paper.SOURCES]
    assert [row for row in ROWS if "UNIT S1+S2" in figures(*row)] == [("cityscapes", 1.0)]
    assert paper.class_figures("cityscapes", 0.5) == paper.class_figures("mycity", 1.0) == {}
