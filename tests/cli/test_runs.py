"""`msda-tf runs`: what it says of finished, unfinished and damaged runs, without loading TensorFlow."""

import json
import shutil
import subprocess
import sys

import command
import fresh_runs
import numpy as np
import pytest

from msda_tf.cli.main import main
from msda_tf.evaluation import metrics
from msda_tf.evaluation.metrics import Metrics
from msda_tf.evaluation.resolution import Resolution
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.runs import listing as run_list
from msda_tf.runs.directory import RunDirectory


@pytest.fixture
def folder(prepared_data, trained_run, tmp_path):
    """runs/adapted (finished), runs/deep/fresh (nothing trained yet) and things that are no runs."""
    shutil.copytree(trained_run.directory, tmp_path / "runs" / "adapted")
    (tmp_path / "runs" / "adapted" / "metrics.json").unlink(missing_ok=True)
    fresh_runs.write(
        tmp_path / "runs" / "deep" / "fresh",
        prepared_data,
        weights=False,
        layout="s-all",
        method="supervised",
        steps=500,
    )
    (tmp_path / "runs" / "notes").mkdir()
    return tmp_path / "runs"


def by_name(folder):
    return {str(run.directory.relative_to(folder)): run for run in run_list.find(folder)}


def rows_of(run, network):
    return [json.loads(line) for line in (run / "networks" / network / "metrics.jsonl").read_text().splitlines()]


def test_progress_and_the_last_score_of_training(folder):
    found = by_name(folder)
    assert list(found) == ["adapted", "deep/fresh"]
    run = found["adapted"]
    assert (run.state, run.target, run.sources) == ("finished", "cityscapes", ("gta5", "synthia"))
    assert (run.layout, run.method, run.steps) == ("separate", "adversarial", 10)
    assert run.done == {"sources": 10, "s-all": 10}
    expected = [row["miou/Max Merge"] for row in rows_of(folder / "adapted", "sources") if "miou/Max Merge" in row]
    assert len(expected) > 1 and run.miou == expected[-1]
    assert run.scored == "Max Merge of network sources while training, step 10"
    fresh = found["deep/fresh"]
    assert (fresh.state, fresh.layout, fresh.done) == ("unfinished", "s-all", {"s-all": 0})
    assert fresh.method == "supervised"
    assert fresh.miou is None


def write_metrics(run, *, best=False, step=10, others=(), sizes=()):
    """A perfect score on the first class and none on the others: mIoU 1/19."""
    matrix = np.zeros((19, 20), np.int64)
    matrix[0, 0] = 7
    networks = [f"{run.name}/networks/sources", *others]
    made_from = {
        "networks": [{"network": name, "step": step, "selected_on_target_labels": best} for name in networks],
    }
    branches = {"S1": matrix * 0, "Max Merge": matrix}
    metrics.write(
        Metrics("cityscapes", "val", 500, CITYSCAPES_CLASSES.names, branches, made_from, Resolution(dict(sizes))),
        RunDirectory(run).metrics,
    )


def test_an_evaluation_counts_more_than_training_and_says_what_it_is(folder):
    write_metrics(folder / "adapted")
    run = by_name(folder)["adapted"]
    assert run.miou == pytest.approx(1 / 19)
    assert run.scored == "Max Merge, 500 images of val"
    write_metrics(folder / "adapted", sizes={"1024x512": 500})
    assert by_name(folder)["adapted"].scored == "Max Merge, 500 images of val at 1024x512"
    write_metrics(folder / "adapted", best=True, step=8, others=["other/networks/s-all"])
    assert by_name(folder)["adapted"].scored == (
        "Max Merge, 500 images of val; several runs merged; at step 8; selected on the target's labels"
    )


def test_an_unfinished_run_shows_where_it_goes_on(folder):
    s_all = folder / "adapted" / "networks" / "s-all"
    shutil.rmtree(s_all / "checkpoints")
    (s_all / "metrics.jsonl").unlink()
    (s_all / "progress.json").write_text('{"saved": 0}')
    run = by_name(folder)["adapted"]
    assert (run.state, run.done) == ("unfinished", {"sources": 10, "s-all": 0})


@pytest.mark.parametrize("lost", ["networks", "networks/s-all", "networks/s-all/checkpoints"])
def test_what_is_lost_is_not_taken_for_unfinished(folder, lost):
    shutil.rmtree(folder / "adapted" / lost)
    run = by_name(folder)["adapted"]
    assert run.state == "damaged" and "gone" in run.damage


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", "{", "run.json is damaged"),
        ("config.yaml", "steps: [", "not YAML"),
        ("config.yaml", None, "cannot be read"),
        ("metrics.json", "{", "metrics.json cannot be read"),
        ("networks/s-all/checkpoints/step-00000010/checkpoint.json", "{", "checkpoint.json cannot be read"),
        ("networks/s-all/checkpoints/step-00000010/weights.index", None, "weights.index is missing"),
    ],
)
def test_damage_is_named(folder, capsys, file, content, message):
    path = folder / "adapted" / file
    path.unlink() if content is None else path.write_text(content)
    run = by_name(folder)["adapted"]
    assert run.state == "damaged" and message in run.damage
    main_ends(["runs", str(folder)])
    output = capsys.readouterr().out
    assert message in output and "unfinished" in output  # the other run is still listed


def main_ends(arguments, code=0):
    try:
        main(arguments)
        stopped = 0
    except SystemExit as stop:
        stopped = stop.code or 0
    assert stopped == code


def test_the_table_and_no_tensorflow(folder):
    write_metrics(folder / "adapted")
    script = (
        "import sys\nfrom msda_tf.cli.main import main\n"
        "try:\n    main(['runs'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'tensorflow', 'keras', 'apache_beam'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=folder.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if "adapted" in line)
    for shown in ("cityscapes", "gta5, synthia", "separate", "adversarial", "sources 10/10", "5.26", "finished"):
        assert shown in line


def test_nothing_there(tmp_path, capsys):
    main_ends(["runs", str(tmp_path)])
    assert "No runs in" in capsys.readouterr().out
    main_ends(["runs", str(tmp_path / "nowhere")], code=2)
    assert "nowhere is not a folder" in capsys.readouterr().err


def test_runs_are_sorted_and_told_as_json(folder, capsys):
    write_metrics(folder / "adapted")
    shutil.copytree(folder / "adapted", folder / "better")
    better = json.loads((folder / "better" / "metrics.json").read_text())
    better["branches"]["Max Merge"]["confusion"][1][1] = 3
    (folder / "better" / "metrics.json").write_text(json.dumps(better))
    orders = {"run": ["adapted", "better", "fresh"], "miou": ["better", "adapted", "fresh"]}
    for sort, expected in (orders | {"step": orders["run"], "target": orders["miou"]}).items():
        assert command.exit_code("runs", folder, "--sort", sort, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert [run["directory"].split("/")[-1] for run in found] == expected, sort
    scores = {run["directory"].split("/")[-1]: run["miou"] for run in found}
    assert scores == {"better": pytest.approx(2 / 19), "adapted": pytest.approx(1 / 19), "fresh": None}
    assert found[-1]["state"] == "unfinished" and found[-1]["method"] == "supervised"


def test_links_are_followed_once_and_what_cannot_be_looked_into_is_named(tmp_path):
    """Runs on another disk are there by links; one that is not mounted is not silently absent."""
    for name in ("disk/a", "runs/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text("{}")
    runs = tmp_path / "runs"
    for link, target in {"0-newest": "b", "far": "../disk", "loop": ".", "gone": "/mnt/none/runs"}.items():
        (runs / link).symlink_to(target)
    found = by_name(runs)
    assert list(found) == ["b", "far/a", "gone"]
    assert found["gone"].damage == "cannot be looked into: a link to /mnt/none/runs: is its disk mounted?"
    told = subprocess.run([sys.executable, "-m", "msda_tf", "runs", runs], capture_output=True, text=True)
    assert told.returncode == 0 and f"{runs / 'gone'}: cannot be looked into" in told.stdout
