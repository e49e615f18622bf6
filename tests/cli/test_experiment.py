"""`msda-tf experiment`: runs, failures, resumption and the printed table, with real scores of random networks."""

import dataclasses
import json
import re
import shutil

import command
import fresh_runs
import prepared
import pytest

from msda_tf import config as configuration
from msda_tf import train
from msda_tf.data import manifest as manifests
from msda_tf.data_prep.miniature import generated
from msda_tf.errors import MsdaError
from msda_tf.training.trainer import Interrupted


def run(capsys, *arguments):
    """(exit code, standard output, its own lines of standard error) of `msda-tf experiment ...`."""
    code, output, error = command.run(capsys, "experiment", *arguments)
    return code, output, [line for line in error.splitlines() if line.startswith(("msda-tf: ", "FAILED"))]


@pytest.fixture
def miniature(prepared_data, tmp_path):
    """The prepared data sets, marked as generated."""
    shutil.copytree(prepared_data, tmp_path / "data")
    for name in manifests.available(tmp_path / "data"):
        manifest = manifests.read(tmp_path / "data" / name)
        manifests.write(dataclasses.replace(manifest, options={"miniature": True}), manifest.directory)
    return tmp_path / "data"


@pytest.fixture
def quick(monkeypatch):
    """Training that leaves random weights at once, except for oracles; gives the list of what was trained."""
    real, trained, raises = train.train, [], {}

    def quickly(config, directory, **arguments):
        trained.append(directory.name)
        if directory.name in raises:
            raise raises[directory.name]
        if directory.name == "oracle":
            return real(config, directory, **arguments)
        settings = configuration.to_dict(config)
        return fresh_runs.write(directory, settings.pop("data"), **settings)

    monkeypatch.setattr(train, "train", quickly)
    return trained, raises


def test_a_failed_run_is_reported_the_others_go_on_and_the_next_call_does_what_is_left(
    miniature, tmp_path, quick, capsys
):
    trained, raises = quick
    output = tmp_path / "out"
    arguments = ["--grid", "miniature", "--data", miniature, "--output", output, "--target", "cityscapes"]
    arguments += ["--set", "steps=10", "--set", "evaluate_every=0", "--set", "aspp_rates=[2, 4]"]
    raises["no-adapt"] = MsdaError("out of memory")
    code, printed, errors = run(capsys, *arguments)
    assert code == 1 and trained == ["adapted", "no-adapt", "oracle"]
    name = "cityscapes, scale 1, seed 0: no-adapt"
    assert errors[0] == f"FAILED {name}: out of memory"
    assert errors[1].startswith(f"msda-tf: 1 of 3 runs failed ({name})")
    assert "Run 1 of 3: " in printed and re.search(r"Run 3 of 3, about \d+ min left: ", printed)

    written = json.loads((output / "results.json").read_text())
    assert [r["state"] for r in written["runs"]] == ["finished", "failed: out of memory", "finished"]
    columns = written["rows"][0]["columns"]
    assert list(columns) == ["S1", "S2", "S-All", "Max Merge", "Oracle"]
    scored = json.loads((output / "cityscapes-1" / "seed0" / "adapted" / "metrics.json").read_text())
    assert columns["S2"]["miou_19"]["mean"] == scored["branches"]["S2"]["miou_19"]
    # The oracle learned from the target's own labels, the real way.
    info = json.loads((output / "cityscapes-1" / "seed0" / "oracle" / "run.json").read_text())
    assert info["datasets"]["cityscapes_labelled"]["images"] == 6

    code, printed, errors = run(capsys, *arguments, "--dry-run")
    assert code == 0 and "3 runs, 2 finished, 1 to do" in printed and trained == ["adapted", "no-adapt", "oracle"]

    raises.clear()
    code, printed, errors = run(capsys, *arguments)
    assert (code, errors, trained[3:]) == (0, [], ["no-adapt"])
    percent = f"{100 * columns['Oracle']['miou_19']['mean']:.2f}"
    line = next(line for line in printed.splitlines() if line.startswith("cityscapes  measured"))
    assert len(line.split()) == 8 and line.split()[-1] == percent
    markdown = (output / "results.md").read_text()
    assert "| target |  | No Adapt | S1 | S2 | S-All | Max Merge | Oracle |" in markdown and percent in markdown

    code, _, errors = run(capsys, *arguments, "--set", "steps=20")
    assert code == 2 and "steps (was 10, now 20)" in errors[0] and trained[4:] == []


def test_a_table_of_ones_own_has_scores_where_labels_are_and_estimates_elsewhere(
    prepared_data, tmp_path, quick, capsys
):
    trained, _ = quick
    data, output = tmp_path / "data", tmp_path / "out"
    shutil.copytree(prepared_data, data)
    prepared.write(data, "dashcam", shift=-30.0, seed=5, labelled=False)
    arguments = ["--sources", "gta5,synthia", "--target", "cityscapes", "--target", "dashcam", "--data", data]
    arguments += ["--output", output, "--preset", "tiny"]
    for setting in ("layout=joint", "merge=mean-probability", "steps=10", "evaluate_every=0", "aspp_rates=[2, 4]"):
        arguments += ["--set", setting]
    code, printed, errors = run(capsys, *arguments)
    assert (code, errors) == (0, []) and trained == ["adapted", "no-adapt", "oracle", "adapted", "no-adapt"]

    measured, estimated = json.loads((output / "results.json").read_text())["rows"]
    assert list(measured["columns"]) == ["No Adapt", "S1", "S2", "S-All", "Max Merge", "Max Logit", "Oracle"]
    assert "Max Merge - Max Logit" in measured["gains"] and "estimates" not in measured
    assert measured["columns"]["S1"]["paper"] is None
    assert (estimated["columns"], estimated["gains"]) == ({}, {})
    assert list(estimated["estimates"]) == ["No Adapt", "S1", "S2", "S-All", "Max Merge", "Max Logit"]
    folder = output / "dashcam-1" / "seed0" / "adapted"
    written = json.loads((folder / "estimate.json").read_text())["estimates"]["S2"]
    assert estimated["estimates"]["S2"]["miou_19"]["mean"] == written["miou"]
    assert estimated["estimates"]["S2"]["error"] == written["error"]
    assert not (folder / "metrics.json").exists()
    table = printed[printed.index("Estimated mean IoU in %: no label was read") :]
    lines = [line.split() for line in table.splitlines()]
    assert f"{100 * written['miou']:.2f}" in next(line for line in lines if line[:2] == ["dashcam", "estimated"])
    assert f"{100 * written['error']:.2f}" in next(line for line in lines if line[:2] == ["standard", "error"])
    assert "dashcam" not in printed[: printed.index("Estimated mean IoU")].split("Gains in points")[1]

    code, printed, _ = run(capsys, *arguments, "--dry-run")
    assert code == 0 and "5 runs, 5 finished, 0 to do" in printed and len(trained) == 5
    (folder / "estimate.json").write_text('{"target": "dashcam"}')
    code, printed, _ = run(capsys, *arguments, "--dry-run")
    assert code == 0 and "5 runs, 4 finished, 1 to do" in printed


def test_an_error_that_nobody_foresaw_leaves_its_traceback(miniature, tmp_path, quick, capsys):
    _, raises = quick
    output = tmp_path / "out"
    raises |= {kind: ValueError("in user code:\n\n    shapes differ") for kind in ("adapted", "no-adapt", "oracle")}
    code, _, errors = run(capsys, "--grid", "miniature", "--data", miniature, "--output", output, "--target", "gta5")
    path = output / "gta5-1" / "seed0" / "adapted-error.txt"
    assert code == 1 and len(errors) == 4
    assert errors[0] == f"FAILED gta5, scale 1, seed 0: adapted: ValueError: shapes differ (traceback: {path})"
    assert "Traceback (most recent call last)" in path.read_text()


def test_restyled_sources_are_scored_as_two_branches_and_as_three(miniature, tmp_path, quick, capsys):
    trained, raises = quick
    raises |= {kind: MsdaError("not of interest") for kind in ("adapted", "no-adapt", "oracle")}
    for name in ("gta5", "synthia"):
        prepared.write(miniature, f"{name}_as_cityscapes", train=1, test=1)
    arguments = ["--grid", "miniature", "--data", miniature, "--output", tmp_path / "out", "--target", "cityscapes"]
    run(capsys, *arguments, "--set", "steps=10", "--set", "aspp_rates=[2]")
    assert trained[3:] == ["unit-sources", "unit-s-all"]
    columns = json.loads((tmp_path / "out" / "results.json").read_text())["rows"][0]["columns"]
    assert list(columns) == ["UNIT S1", "UNIT S2", "UNIT S1+S2", "UNIT S-All", "UNIT Max Merge"]
    folder = tmp_path / "out" / "cityscapes-1" / "seed0"
    two, three = (json.loads((folder / kind / "metrics.json").read_text()) for kind in ("unit-sources", "unit-s-all"))
    assert two["made_from"]["merged"] == ["S1", "S2"] and sorted(three["made_from"]["merged"]) == ["S-All", "S1", "S2"]
    for column, score in (
        ("UNIT S1+S2", two["branches"]["Max Merge"]),
        ("UNIT Max Merge", three["branches"]["Max Merge"]),
        ("UNIT S-All", three["branches"]["S-All"]),
    ):
        assert columns[column]["miou_19"]["mean"] == score["miou_19"]
    assert columns["UNIT S1+S2"] != columns["UNIT Max Merge"]


def test_an_interruption_ends_it_at_once_and_leaves_the_results_so_far(miniature, tmp_path, quick, capsys):
    trained, raises = quick
    output = tmp_path / "out"
    output.mkdir()
    raises["adapted"] = Interrupted("SIGINT: saved sources at step 4 of 10; to continue, run msda-tf train --run x")
    code, _, errors = run(capsys, "--grid", "miniature", "--data", miniature, "--output", output)
    assert code == 130 and trained == ["adapted"]
    assert errors == [
        "msda-tf: cityscapes, scale 1, seed 0: adapted: SIGINT: saved sources at step 4 of 10; start the same command "
        "again to go on"
    ]
    assert json.loads((output / "results.json").read_text())["runs"][0]["state"] == "to do"


def test_missing_miniature_data_is_generated(tmp_path, quick, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(generated, "find", lambda output, **_: asked.append(output) or {})
    code, printed, errors = run(capsys, "--grid", "miniature", "--data", tmp_path / "none")
    assert asked == [tmp_path / "none"] and f"msda-tf prepare --dataset miniature --output {tmp_path}" in printed
    assert code == 1  # the stand-in wrote nothing


def test_misuse_is_one_line(prepared_data, miniature, tmp_path, capsys):
    real, generated = ["--data", prepared_data], ["--data", miniature]
    for arguments, message in (
        ([], "--grid"),
        (["--grid", "paper", "--sources", "a,b", "--target", "c"], "without --grid"),
        (["--sources", "a,b"], "--sources is for a table of your own: with --target"),
        (["--sources", "gta5,synthia", "--target", "mars", *real], "'mars' is not prepared"),
        (["--sources", "gta5", "--target", "cityscapes,synthia", *real], "--target once for each"),
        (["--grid", "paper", "--preset", "tiny", *real], "the runs of --grid paper have theirs"),
        (["--grid", "miniature", *real], "no generated miniature data, which --grid miniature is not for"),
        (["--grid", "paper", *generated], "generated miniature data, which --grid paper is not for"),
        (["--grid", "paper", "--data", tmp_path / "none"], "is not prepared in"),
        (["--grid", "paper", "--set", "steps"], "expected KEY=VALUE"),
        (["--grid", "paper", "--set", "scale=1"], "a grid decides scale itself"),
        (["--grid", "paper", "--target", "mars"], "--target"),
        (["--grid", "paper", "--seeds", "0"], "--seeds"),
        (["--grid", "paper", "--seeds", "1" + "0" * 9], "--seeds"),
    ):
        code, printed, errors = run(capsys, *arguments, "--output", tmp_path / "out")
        assert code == 2 and len(errors) == 1 and message in errors[0], (arguments, errors)
        assert not (tmp_path / "out").exists()
