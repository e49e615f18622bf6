"""Runs side by side: scores of each alone, what differs, classes gained and lost, and the page's slider."""

import json
import re
import shutil

import browser
import command
import fresh_runs
import numpy as np
import pytest

from msda_tf.report import compare


@pytest.fixture(scope="module")
def compared(prepared_data, tmp_path_factory):
    """(page, what was compared) of two runs of random networks."""
    folder = tmp_path_factory.mktemp("compared")
    first = fresh_runs.write(folder / "first", prepared_data, layout="s-all", method="supervised")
    other = fresh_runs.write(folder / "other", prepared_data, layout="s-all", method="supervised", seed=3)
    for run, score in ((first, 0.1), (other, 0.3)):
        lines = [{"step": step, "miou/S-All": score} for step in (5, 10)]
        run.folder(run.networks[0]).log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    output = folder / "compared.html"
    return output, compare.compare([first.directory, other.directory], output, gallery=2)


def test_each_is_scored_alone_and_differences_are_named(compared, tmp_path, capsys):
    path, found = compared
    written = json.loads(path.with_suffix(".json").read_text())
    assert [each["name"] for each in written["runs"]] == ["first", "other"]
    assert written["differences"]["seed"] == [0, 3] and "layout" not in written["differences"]
    for each, run in zip(written["runs"], found, strict=True):
        alone = tmp_path / "alone.json"
        assert command.exit_code("evaluate", "--run", run.run.directory, "--json", alone) == 0
        assert each["branches"] == json.loads(alone.read_text())["branches"]
        assert not (run.run.directory / "metrics.json").exists()
    first, other = (each["branches"]["No Adapt"]["iou"] for each in written["runs"])
    for name, gain in written["gains"]["other"].items():
        assert gain is None if None in (first[name], other[name]) else gain == pytest.approx(other[name] - first[name])


def test_the_page_says_what_is_gained_and_lost(compared):
    path, found = compared
    text = path.read_text()
    gains = json.loads(path.with_suffix(".json").read_text())["gains"]["other"]
    said = re.search(r"<b>other</b> against first: gains (.*?); loses (.*?)\.</p>", text, re.DOTALL)
    names = [re.findall(r"([a-z ]+) <span", part) for part in said.groups()]
    clear = {name: gain for name, gain in gains.items() if gain is not None and abs(gain) > 0.005}
    assert [name.strip() for name in names[0]] == sorted((n for n in clear if clear[n] > 0), key=lambda n: -clear[n])
    assert [name.strip() for name in names[1]] == sorted((n for n in clear if clear[n] < 0), key=lambda n: clear[n])
    low, high = (100 * each.scores.miou_all for each in found)
    assert f"other reaches {high:.2f} % mean IoU, {high - low:+.2f}".replace("-", "−") in text
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest", text)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_slider_works_in_a_browser(compared, tmp_path, width):
    script = """
const root = document.documentElement, seen = {};
const sides = () => [...document.querySelectorAll(".stage")].map((stage) =>
  ["left", "right"].map((side) => stage.querySelector(`.side.${side}`).alt.split(" of ")[0]).join("|")).join(" ");
seen.start = sides();
const left = document.getElementById("left");
left.selectedIndex = 1; left.dispatchEvent(new Event("change", {bubbles: true}));
seen.truth = sides();
const cut = document.getElementById("cut");
cut.focus(); seen.focus = document.activeElement === cut;
cut.value = 20; cut.dispatchEvent(new Event("input"));
seen.clip = getComputedStyle(document.querySelector(".side.right")).clipPath;
seen.wide = root.scrollWidth <= window.innerWidth;
seen.decoded = [...document.images].every((image) => image.complete && image.naturalWidth > 0);
"""
    seen = browser.seen(compared[0], tmp_path, script, width=width)
    shots = len(seen["start"].split())
    assert shots >= 1 and seen["start"] == " ".join(["first|other"] * shots)
    assert seen["truth"] == " ".join(["Truth|other"] * shots)
    assert seen["clip"] == "inset(0px 0px 0px 20%)" and seen["focus"] and seen["wide"] and seen["decoded"]


def test_last_and_best_stand_side_by_side(trained_run, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert command.exit_code("report", "--last-and-best", "--run", trained_run.directory, "--output", page) == 0
    written = json.loads(page.with_suffix(".json").read_text())
    assert [(each["name"], each["checkpoint"]) for each in written["runs"]] == [
        ("adapted (last)", "last"),
        ("adapted (best)", "best"),
    ]
    assert written["differences"]["checkpoint"] == ["last", "best"]
    assert any("selected on the target's labels" in note for note in written["runs"][1]["notes"])
    chosen = "the checkpoint was chosen by labels of 2 images of cityscapes, test, which are among those scored"
    assert [any(chosen in note for note in each["notes"]) for each in written["runs"]] == [False, True]
    matrices = [np.array(each["branches"]["Max Merge"]["confusion"]) for each in written["runs"]]
    assert matrices[0].sum() == matrices[1].sum()


def test_misuse_is_one_line(trained_run, prepared_data, tmp_path, capsys):
    other = fresh_runs.write(tmp_path / "other", prepared_data, target="gta5", sources=["synthia"], layout="s-all")
    run, output = trained_run.directory, tmp_path / "page.html"
    for arguments, message in (
        (["--compare", "--run", run], "needs two runs"),
        (["--compare", "--run", run, "--run", run], "given twice"),
        (["--compare", "--run", run, "--run", other.directory], "only runs for the same target compare"),
        (["--last-and-best", "--run", run, "--select", "best"], "leave --select out"),
    ):
        code, _, error = command.run(capsys, "report", *arguments, "--output", output)
        assert code == 2 and message in error, error
    assert not output.exists()
