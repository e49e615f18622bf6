"""Tables: the right number in the right cell, the best one marked, nothing cut short."""

import io

import numpy as np
import pytest
from rich.console import Console

from msda_tf.evaluation import tables
from msda_tf.labels import ClassList

CLASSES = ClassList(names=("road", "car", "train"), colors=((0, 0, 0),) * 3)
# IoU: S1 road 6/9, car 3/6; S-All road 9/12, car 2/4 (a tie); no train. A train is predicted under Max Merge.
MATRICES = {
    "S1": np.array([[6, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0]]),
    "S-All": np.array([[9, 1, 0, 1], [1, 2, 0, 0], [0, 0, 0, 0]]),
    "Max Merge": np.array([[8, 0, 2, 0], [4, 0, 0, 0], [0, 0, 0, 0]]),
}


def test_mean_rows():
    grid = tables.mean_iou_table(MATRICES, CLASSES, title="town")
    assert grid.columns == ("S1", "S-All", "Max Merge")
    (all_name, all_values), (present_name, present_values) = grid.rows
    assert all_name == "mIoU, all 3 classes"
    assert all_values == pytest.approx([100 * (6 / 9 + 3 / 6) / 3, 100 * (9 / 12 + 2 / 4) / 3, 100 * (8 / 14) / 3])
    assert present_name == "mIoU, present classes"
    assert present_values == pytest.approx([100 * (6 / 9 + 3 / 6) / 2, 100 * (9 / 12 + 2 / 4) / 2, 100 * (8 / 14) / 3])


def test_mean_rows_of_a_subset_name_their_rule():
    usual = tables.mean_iou_table(MATRICES, CLASSES, title="town", names=("car",))
    dropped = tables.mean_iou_table(MATRICES, CLASSES, title="town", names=("car",), rule="drop-pixels")
    assert usual.rows[0] == ("mIoU, all 1 classes", pytest.approx((50.0, 50.0, 0.0)))
    assert dropped.rows[0] == ("mIoU, all 1 classes", pytest.approx((75.0, 200 / 3, 0.0)))
    assert "mean-of-ious" in usual.notes[-1]
    assert "drop-pixels" in dropped.notes[-1]


def test_plain_text():
    text = tables.to_text(tables.class_iou_table(MATRICES, CLASSES, title="town, val, 7 images"))
    assert text.splitlines() == [
        "town, val, 7 images",
        "IoU in %     S1   S-All   Max Merge",
        "-----------------------------------",
        "road      66.67   75.00*      57.14",
        "car       50.00*  50.00*       0.00",
        "train         -       -        0.00",
        "-: the class is neither in the labels nor predicted",
    ]


def test_markdown():
    lines = tables.to_markdown(tables.class_iou_table(MATRICES, CLASSES, title="town")).splitlines()
    assert lines[:7] == [
        "**town**",
        "",
        "| IoU in % | S1 | S-All | Max Merge |",
        "|---|---:|---:|---:|",
        "| road | 66.67 | **75.00** | 57.14 |",
        "| car | **50.00** | **50.00** | 0.00 |",
        "| train | - | - | 0.00 |",
    ]


def test_a_single_branch_is_not_called_best():
    text = tables.to_text(tables.class_iou_table({"S1": MATRICES["S1"]}, CLASSES, title="town"))
    assert "*" not in text
    assert "66.67" in text


@pytest.mark.parametrize(("width", "framed"), [(120, True), (41, False), (20, False)])
def test_no_number_is_cut_short_in_a_narrow_terminal(width, framed):
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=True, color_system=None)
    tables.show(tables.class_iou_table(MATRICES, CLASSES, title="town"), console)
    assert ("┃" in output.getvalue()) == framed
    for number in ("66.67", "75.00*", "57.14", "50.00*", "0.00"):
        assert number in output.getvalue()
    assert "…" not in output.getvalue()


def test_a_file_gets_plain_text():
    output = io.StringIO()
    grid = tables.class_iou_table(MATRICES, CLASSES, title="town [val]")
    tables.show(grid, Console(file=output, width=120))
    assert output.getvalue() == tables.to_text(grid) + "\n"


def test_values_that_print_alike_are_equally_good():
    close = {"S1": np.diag([100_000, 0, 0])[:, [0, 1, 2, 2]], "S2": np.diag([100_000, 0, 0])[:, [0, 1, 2, 2]]}
    close["S2"][0, 1] = 1  # 99.999 %
    low = {"S3": MATRICES["S1"]}
    row = tables.to_text(tables.class_iou_table(close | low, CLASSES, title="town")).splitlines()[3]
    assert row.split() == ["road", "100.00*", "100.00*", "66.67"]
