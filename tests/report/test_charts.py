"""Charts: right coordinates, well-formed markup, nothing that a name could break."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import ImageFont

from msda_tf.report import charts
from msda_tf.report.charts import Line


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0.66, 0.74, [0.66, 0.68, 0.7, 0.72, 0.74]),
        (3, 3, [2.5, 2.75, 3, 3.25, 3.5]),
        (1, 50000, [0, 20000, 40000, 60000]),
        (-0.2, 0.1, [-0.2, -0.1, 0, 0.1]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low, high, expected):
    assert charts.nice_ticks(low, high) == pytest.approx(expected)


def test_ticks_cover_any_range():
    rng = np.random.default_rng(0)
    for _ in range(300):
        low = rng.normal() * 10 ** rng.uniform(-6, 6)
        high = low + 10 ** rng.uniform(-6, 6)
        ticks = charts.nice_ticks(low, high)
        slack = 1e-6 * (high - low)
        assert ticks[0] <= low + slack and ticks[-1] >= high - slack and 2 <= len(ticks) <= 8
        assert np.ptp(np.diff(ticks)) < 1e-6 * (ticks[-1] - ticks[0]) + 1e-9


def points(chart):
    root = ElementTree.fromstring(chart)
    return [np.array([pair.split(",") for pair in line.get("points").split()], float) for line in root.iter("polyline")]


def test_lines_are_linear_in_step_and_value():
    steps, values = np.array([0, 10, 40.0]), np.array([0.0, 0.5, 1.0])
    chart = charts.line_chart(
        [Line("S1 <output>", "red", False, steps, values), Line("S2", "blue", True, steps, values / 2)], title="a & b"
    )
    first, second = points(chart)
    x, y = first.T
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(0.25, abs=1e-2)
    assert (y[1] - y[0]) / (y[2] - y[0]) == pytest.approx(0.5, abs=1e-2) and y[2] < y[0]
    assert second[2, 1] == pytest.approx(first[1, 1], abs=0.11)
    assert "S1 &lt;output&gt;" in chart and chart.count("stroke-dasharray") == 1


def test_a_single_point_is_still_seen():
    chart = charts.line_chart([Line("S1", "red", False, np.array([5.0]), np.array([0.3]))], title="t", percent=True)
    (circle,) = ElementTree.fromstring(chart).iter("circle")
    assert float(circle.get("r")) > 2 and "30 %" in chart


def test_each_row_of_a_heat_map_is_shares_of_its_class():
    matrix = np.array([[6, 3, 0, 1], [0, 0, 0, 0], [1, 1, 2, 0]])
    root = ElementTree.fromstring(charts.heat_map(matrix, ["road", "a<b", "sky"], title="t"))
    shares = np.array([float(cell.get("data-share")) for cell in root.iter("rect")]).reshape(3, 3)
    np.testing.assert_allclose(shares, [[0.6, 0.3, 0], [0, 0, 0], [0.25, 0.25, 0.5]])
    assert [text.text for text in root.iter("text") if text.get("class") == "absent"] == ["a<b"]
    width, height = map(float, root.get("viewBox").split()[2:])
    for cell in root.iter("rect"):
        assert float(cell.get("x")) + 22 <= width and float(cell.get("y")) + 22 <= height


def test_long_names_of_classes_have_room_beside_a_heat_map():
    names = ["road", "non-drivable fallback", "a class whose name is of no use to anybody"]
    root = ElementTree.fromstring(charts.heat_map(np.eye(3, 4, dtype=int), names, title="t"))
    beside = [text for text in root.iter("text") if text.get("text-anchor") == "end"]
    assert [text.text for text in beside] == ["road", "non-drivable fallback", "a class whose name is o…"]
    font = ImageFont.load_default(size=12)
    assert all(font.getlength(text.text) <= float(text.get("x")) for text in beside)
