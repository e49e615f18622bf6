"""The paper's figures against what else is known of them."""

import pytest

from msda_tf.experiment import paper

ROWS = [(target, scale) for target in ("cityscapes", "synthia", "gta5") for scale in (1.0, 0.5)]


def test_differences_that_the_papers_text_and_table_state():
    merged = {row: paper.figures(*row)["Max Merge"] for row in ROWS}
    s_all = {row: paper.figures(*row)["S-All"] for row in ROWS}
    # Halving the images costs 1.44 and 4.41 points, and brings GTA5 3.29.
    assert merged["cityscapes", 1.0] - merged["cityscapes", 0.5] == pytest.approx(1.44)
    assert merged["synthia", 1.0] - merged["synthia", 0.5] == pytest.approx(4.41)
    assert merged["gta5", 0.5] - merged["gta5", 1.0] == pytest.approx(3.29)
    # Two figures that the table prints, and the means of two rows of Table 2, each rounded on its own.
    assert s_all["gta5", 1.0] == 40.57
    assert s_all["cityscapes", 1.0] == pytest.approx(41.83, abs=0.021)
    assert merged["synthia", 1.0] == pytest.approx(37.51, abs=0.021)
    # One source alone beats both S-All and the merge on GTA5, at either size.
    for scale in (1.0, 0.5):
        row = paper.figures("gta5", scale)
        assert row["S1"] > max(row["S-All"], row["Max Merge"])


def test_what_is_not_known_is_not_there():
    assert paper.figures("cityscapes", 0.25) == paper.figures("mycity", 1.0) == {}
    assert "S1" not in paper.figures("cityscapes", 1.0)
    assert "No Adapt" not in paper.figures("cityscapes", 0.5)
    assert [row for row in ROWS if "UNIT S1+S2" in paper.figures(*row)] == [("cityscapes", 1.0)]
