"""The whole page: from runs to HTML, what it holds, that it needs nothing else, and that its scripts work."""

import dataclasses
import html.parser
import json
import re
import shutil

import browser
import fresh_runs
import numpy as np
import pytest

from msda_tf.labels import CITYSCAPES_CLASSES, ClassList
from msda_tf.report import make, page, tables
from msda_tf.report.gallery import Gallery


@pytest.fixture(scope="module")
def report(prepared_data, tmp_path_factory):
    """(path, evaluation) of a report of random networks of two runs, one with a training log."""
    folder = tmp_path_factory.mktemp("report")
    adapted = fresh_runs.write(folder / "adapted", prepared_data)
    plain = fresh_runs.write(folder / "plain", prepared_data, layout="s-all", method="supervised", seed=3)
    lines = [{"step": step, "seg/output/S1": 3 / step, "disc_accuracy/output/S1": 0.5} for step in (5, 10)]
    log = adapted.folder(adapted.networks[0]).log
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    evaluation = make.make([adapted.directory, plain.directory], folder / "report.html", gallery=2)
    return folder / "report.html", evaluation


class Collector(html.parser.HTMLParser):
    """All start tags, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_nothing_outside_the_page_is_named(report):
    text = report[0].read_text()
    tags = Collector(text).tags
    for tag, attributes in tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/webp;base64,")), (tag, name, value[:60])
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest", text)
    policy = next(a["content"] for _, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in tags


def test_every_picture_and_control_has_a_name_and_every_link_a_target(report):
    tags = Collector(report[0].read_text()).tags
    images = [a for tag, a in tags if tag == "img"]
    assert images and all(a["alt"] and a["width"] and a["height"] for a in images)
    ids = {a["id"] for _, a in tags if "id" in a}
    assert all(a["href"][1:] in ids for tag, a in tags if tag == "a")
    assert all(a.get("aria-label") for tag, a in tags if tag == "svg")
    assert [tag for tag, _ in tags].count("main") == 1
    assert not re.search(r"<th[^>]*>\s*</th>", report[0].read_text())


def test_figures_are_those_of_the_evaluation(report):
    path, evaluation = report
    written = json.loads(path.with_suffix(".json").read_text())
    assert list(written["branches"]) == list(evaluation.metrics.matrices)
    scores = {name: each["miou_19"] for name, each in written["branches"].items()}
    text = path.read_text()
    table = text[text.index('aria-label="Mean IoU"') : text.index('id="classes"')]
    rows = [re.sub(r"<[^>]*>", " ", row).split() for row in table.split("<tr>")[2:]]
    assert len(rows) == 5
    best = max(scores, key=scores.get)
    for (name, value), row, markup in zip(scores.items(), rows, table.split("<tr>")[2:], strict=True):
        assert f"{100 * value:.2f}" in row
        gain = 100 * (value - scores["S-All"])
        assert name == "S-All" or f"{gain:+.2f}".replace("-", "−") in row or "0.00" in row
        first_cell = markup[markup.index("<td") :][:20]
        assert ('class="best"' in first_cell) == (round(value, 4) == round(scores[best], 4))
    assert f"Max Merge reaches {100 * scores['Max Merge']:.2f} % mean IoU" in text
    assert "Segmentation loss" in text and "Adversarial loss" not in text  # of which the log holds nothing
    for run in evaluation.trained.runs:
        assert str(run.directory) in text


def test_the_papers_merge_is_explained_beside_another(report, tmp_path):
    directory = report[1].trained.runs[0].directory
    make.make([directory], tmp_path / "page.html", gallery=0, limit=1, merge="mean-probability")
    text = html.unescape((tmp_path / "page.html").read_text())
    assert "<li>Max Merge: mean-probability of S1, S2, S-All, for each pixel of the image</li>" in text
    assert "<li>Max Logit: the paper's merge (eq. 6) of the same branches</li>" in text


def test_confusions_are_the_largest_shares_of_classes_that_matter():
    matrix = np.zeros((3, 4), int)
    matrix[0] = [600, 300, 100, 0]
    matrix[1] = [0, 10_000, 500, 0]
    matrix[2, 0] = 5  # all of it wrong, and too little to be listed
    found = tables.confusions(matrix, ["a", "b", "c"])
    assert found == [("a", "b", 0.3), ("a", "c", 0.1), ("b", "c", pytest.approx(500 / 10500))]


def test_names_cannot_break_the_page(report):
    evaluation = report[1]
    evil = "<script>alert('&')</script>"
    classes = ClassList((evil, *CITYSCAPES_CLASSES.names[1:]), CITYSCAPES_CLASSES.colors)
    trained = dataclasses.replace(
        evaluation.trained, runs=tuple(dataclasses.replace(run, classes=classes) for run in evaluation.trained.runs)
    )
    text = page.render(dataclasses.replace(evaluation, trained=trained), [], Gallery(0, classes=19))
    assert text.count("<script") == 1 and text.count("&lt;script&gt;alert(") > 5


# Drives the page as a reader would, and leaves what it saw in attributes of the document.
_READER = """
const root = document.documentElement, seen = {};
const shown = () => [...document.querySelectorAll(".shot")].map(
  (shot) => [...shot.querySelectorAll(".layer")].map((l, i) => l.hidden ? "" : i).join("")).join(" ");
seen.start = shown();
document.querySelector("input[name=view][value='0']").click();
seen.truth = shown();
document.querySelector("input[name=view][value='-1']").click();
seen.image = shown();
const blend = document.getElementById("blend");
blend.value = 40; blend.dispatchEvent(new Event("input"));
seen.blend = getComputedStyle(document.querySelector(".layer")).opacity;
const select = document.getElementById("heat-select");
select.selectedIndex = 1; select.dispatchEvent(new Event("change"));
const map = document.querySelectorAll(".heat-map:not([hidden])");
seen.maps = map.length + " " + map[0].dataset.name;
for (const key of ["ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft"])
  map[0].querySelector(".heat").dispatchEvent(new KeyboardEvent("keydown", {key}));
seen.cell = map[0].querySelector(".readout").textContent;
seen.wide = document.documentElement.scrollWidth <= window.innerWidth;
seen.decoded = [...document.images].every((image) => image.complete && image.naturalWidth > 0);
"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_scripts_run_in_a_browser_without_a_network(report, tmp_path, width):
    seen = browser.seen(report[0], tmp_path, _READER, width=width)
    shots = len(seen["truth"].split())
    assert 1 <= shots <= 4 and seen["truth"] == " ".join("0" * shots) and not seen["image"].strip()
    # Truth, No Adapt, S1, S2, S-All, Max Merge: the merge is shown first.
    assert seen["start"] == " ".join("5" * shots)
    assert seen["blend"] == "0.4" and seen["maps"] == "1 S1"
    assert re.fullmatch(r"\d+\.\d % of sidewalk is taken for road", seen["cell"]), seen["cell"]
    assert seen["wide"] and seen["decoded"]
