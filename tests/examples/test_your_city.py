"""The notebook runs from its first cell to its last, and holds no outputs."""

import json
import pathlib
import re

NOTEBOOK = pathlib.Path(__file__).parents[2] / "examples" / "your_city.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_no_outputs_are_kept():
    for cell in CELLS:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None and not cell["metadata"]


def test_its_links_lead_somewhere():
    for cell in CELLS:
        for link in re.findall(r"\]\(([^)\s]+)\)", "".join(cell["source"])):
            assert (NOTEBOOK.parent / link).exists(), link


def test_every_cell_runs(tmp_path, monkeypatch, capsys):
    short = {"FOLDER": tmp_path / "city", "STEPS": 2, "TRAIN_FRAMES": 4, "TEST_FRAMES": 2}
    for name, value in short.items():
        monkeypatch.setenv(f"YOUR_CITY_{name}", str(value))
    names = {}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    output = capsys.readouterr().out
    assert "joint, step 2 of 2: " in output and "Max Merge" in output
    report = (tmp_path / "city" / "report.html").read_text(encoding="utf-8")
    assert "Max Merge" in report and len(list((tmp_path / "city" / "predictions" / "labels").rglob("*.png"))) == 2
