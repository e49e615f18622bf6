"""Data, runs and results at URLs: commands find and leave there what they find and leave on a disk."""

import contextlib
import io
import json
import shutil
import types

import cv2
import numpy as np
import prepared
import pytest
import stylize_runs
from beam_jobs import workers_find_this
from command import exit_code, run

from msda_tf.cli import elsewhere
from msda_tf.data import elsewhere as data_sets
from msda_tf.errors import MsdaError
from msda_tf.remote import cache, filesystem
from msda_tf.training import checkpoint_files, log

pytest.importorskip("apache_beam", reason="needs the extra beam")

__all__ = ["workers_find_this"]

PLUGIN = ["--beam-option", "beam_plugins=shelf"]

# One network of one branch, without an adversary: the least that is traced.
TRAIN = ["train", "--target", "cityscapes", "--sources", "gta5", "--preset", "tiny", "--no-adapt", "--steps", "2"]
SETTINGS = {"checkpoint_every": 1, "evaluate_every": 0, "aspp_rates": "[2,4]", "held_out": 0}
TRAIN += [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
TRAIN += ["--set", "merge=max-logit"]
THERE = [*TRAIN, "--data", "shelf://data/", "--run", "shelf://runs/adapted", *PLUGIN]


# Settings of the shared stylize run that are not its preset's.
KEPT = {"source": "gta5", "target": "cityscapes", "evaluate_every": 0, "steps": 2, **stylize_runs.TINY}


class Died(BaseException):
    """The machine is gone."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, prepared_data):
    """The folder that stands for shelf://, with the prepared data sets in it."""
    root = tmp_path_factory.mktemp("shelf")
    shutil.copytree(prepared_data, root / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELF", str(root))
        yield root


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Gives the cache of a machine that has done nothing yet."""

    def new(name):
        monkeypatch.setenv(cache.VARIABLE, str(tmp_path / name))
        return tmp_path / name

    new("a")
    return new


def brought(folder):
    """Names of data sets' files and of checkpoints in a cache."""
    files = (path.relative_to(folder).parts[2:] for path in folder.rglob("*") if path.is_file())
    return {"/".join(parts) for parts in files if parts}


def checkpoints(run):
    (folder,) = run.glob("networks/*/checkpoints")
    return folder


def said(*arguments):
    """(exit code, standard output) of a command; for fixtures of the module, which have no capsys."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        return exit_code(*arguments), out.getvalue()


@pytest.fixture(scope="module")
def trained(shelf, tmp_path_factory):
    """(The folder of shelf://runs/adapted, whose first machine died; what was said meanwhile)."""
    real, words, warnings = filesystem.send, {}, []
    caches = tmp_path_factory.mktemp("caches")

    def send(path, url):
        """Fails at the first checkpoint, once; at the second the machine dies."""
        if "step-00000002/weights.index" in url:
            raise Died
        if "step-00000001/weights.index" in url and not warnings:
            raise MsdaError(f"{url} cannot be written: no route")
        real(path, url)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Died):
        patch.setenv(cache.VARIABLE, str(caches / "first"))
        patch.setattr(filesystem, "send", send)
        patch.setattr(elsewhere.logging, "warning", lambda text, *values: warnings.append(text % values))
        said(*THERE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(caches / "second"))
        words["between"] = said("runs", "shelf://runs", "--json", *PLUGIN)
        words["went on"] = said(*THERE)
    return shelf / "runs/adapted", words | {"warnings": warnings}


def test_a_training_goes_on_where_another_machine_died(trained, shelf):
    there, words = trained
    (warning,) = words["warnings"]
    assert (
        warning.startswith("shelf://runs/adapted/networks/") and "cannot be written: no route; it lies in " in warning
    )
    code, out = words["between"]
    (found,) = json.loads(out)
    assert (code, found["directory"], found["state"]) == (0, "shelf://runs/adapted", "unfinished")
    assert set(found["done"].values()) == {1}
    code, out = words["went on"]
    assert code == 0 and "for 2 steps in shelf://runs/adapted" in out
    assert "Next: msda-tf evaluate --run shelf://runs/adapted\n" in out
    assert checkpoint_files.steps(checkpoints(there)) == [1, 2]
    assert [row.step for row in log.read(checkpoints(there).parent / "metrics.jsonl")] == [1, 2]
    # The first machine's step was not taken again.
    assert len({path.name for path in checkpoints(there).parent.glob("*tfevents*")}) == 2
    assert "data: shelf://data/" in (there / "config.yaml").read_text()
    assert not [path for path in there.rglob("*") if path.name.startswith(".lock")]


def test_scores_are_found_and_left_there(trained, shelf, machine, tmp_path, capsys):
    there, _ = trained
    code, out, error = run(capsys, "evaluate", "--run", "shelf://runs/adapted", "--pictures", "1", *PLUGIN)
    assert code == 0 and "Metrics: shelf://runs/adapted/metrics.json" in out and str(cache.root()) not in out + error
    assert "bringing cityscapes: " in error
    ours = json.loads((there / "metrics.json").read_text())
    assert ours["made_from"]["data"]["directory"] == "shelf://data/cityscapes"
    # As from a disk, which this one really is.
    assert run(capsys, "evaluate", "--run", there, "--data", shelf / "data", "--json", tmp_path / "here.json")[0] == 0
    assert ours["branches"] == json.loads((tmp_path / "here.json").read_text())["branches"]
    assert len(list((there / "pictures").iterdir())) == 1
    # What was not needed was not brought.
    found = brought(cache.root())
    assert "cityscapes/test-00000-of-00001.tfrecord" in found and not any("train-0" in name for name in found)
    assert not any("step-00000001" in name or "tfevents" in name for name in found)

    with pytest.MonkeyPatch.context() as patch:

        def refused(path, url):
            raise MsdaError(f"{url} cannot be written: forbidden")

        patch.setattr(filesystem, "send", refused)
        code, _, error = run(capsys, "evaluate", "--run", "shelf://runs/adapted", "--limit", "1", *PLUGIN)
    assert code == 1 and "cannot be written: forbidden; what could not be sent is in " in error
    assert str(cache.root()) in error and "and the same command sends it" in error and "bringing" not in error
    assert json.loads((there / "metrics.json").read_text())["images"] == 3
    assert run(capsys, "evaluate", "--run", "shelf://runs/adapted", "--limit", "1", *PLUGIN)[0] == 0
    assert json.loads((there / "metrics.json").read_text())["images"] == 1


def test_pictures_and_models_and_pages_are_made_from_there(trained, machine, tmp_path, capsys):
    there, _ = trained
    image, _ = prepared.scene(np.random.default_rng(0), 65, 129, -30)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/a.png"), image[..., ::-1])
    arguments = ["--input", tmp_path / "in", "--outputs", "labels"]
    code, out, _ = run(
        capsys, "predict", "--run", "shelf://runs/adapted", *PLUGIN, *arguments, "--output", tmp_path / "a"
    )
    assert code == 0 and "Segmented 1 images" in out
    assert run(capsys, "predict", "--run", there, *arguments, "--output", tmp_path / "b")[0] == 0
    assert (tmp_path / "a/labels/a.png").read_bytes() == (tmp_path / "b/labels/a.png").read_bytes()
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*")}
    page = tmp_path / "report.html"
    assert run(capsys, "report", "--run", "shelf://runs/adapted", "--output", page, "--limit", "1", *PLUGIN)[0] == 0
    assert "shelf://runs/adapted" in page.read_text() and str(cache.root()) not in page.read_text()
    assert run(capsys, "export", "--run", "shelf://runs/adapted", "--output", tmp_path / "model", *PLUGIN)[0] == 0
    assert (tmp_path / "model/1/saved_model.pb").exists()
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*")} == before


@pytest.fixture(scope="module")
def restyling(shelf, stylize_run):
    """The folder of shelf://runs/restyling, a run whose data lie at shelf://data."""
    folder = shelf / "runs/restyling"
    shutil.copytree(stylize_run.directory, folder)
    for name in ("config.yaml", "stylize.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(stylize_run.config.data, "shelf://data"))
    return folder


def test_a_data_set_is_restyled_there_wherever_that_stops(
    shelf, restyling, machine, tmp_path, monkeypatch, capsys, workers_find_this
):
    local = tmp_path / "data"
    shutil.copytree(shelf / "data/gta5", local / "gta5")
    arguments = ["stylize", "apply", "--run", "shelf://runs/restyling", "--name", "restyled", *PLUGIN]
    real = filesystem.send

    def send(path, url):
        if url.endswith("/.train-00000-of-00001.tfrecord.json"):
            raise Died
        real(path, url)

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(filesystem, "send", send)
        run(capsys, *arguments)
    capsys.readouterr()
    assert not (shelf / "data/restyled/dataset.json").exists()
    assert (shelf / "data/restyled/.test-00000-of-00001.tfrecord.json").exists()

    machine("b")
    code, out, error = run(capsys, *arguments)
    assert code == 0 and "shelf://data/restyled: 129x65 pixels" in out and str(cache.root()) not in out + error
    assert "--sources restyled --data shelf://data" in out
    run(capsys, "stylize", "apply", "--run", restyling, "--data", local, "--name", "restyled")
    there, here = (
        {path.name: path.read_bytes() for path in (data / "restyled").iterdir()} for data in (shelf / "data", local)
    )
    ours, theirs = (json.loads(each.pop("dataset.json")) for each in (there, here))
    assert there == here and ours["splits"] == theirs["splits"]
    assert ours["options"]["stylize_run"] == "shelf://runs/restyling"
    code, out, _ = run(capsys, *arguments)
    assert code == 0 and "shelf://data/restyled: 129x65 pixels" in out

    # By workers, none of whose folders is this machine's.
    code, out, _ = run(capsys, *arguments, "--name", "by_workers", "--runner", "DirectRunner")
    assert code == 0 and "shelf://data/by_workers: 129x65 pixels" in out
    files = [path for path in (shelf / "data/by_workers").iterdir() if path.is_file()]
    made = {path.name: path.read_bytes() for path in files}
    assert json.loads(made.pop("dataset.json"))["splits"] == theirs["splits"] and made == here


def test_restyling_is_trained_there(shelf, restyling, machine, capsys):
    arguments = [
        "stylize",
        "train",
        "--preset",
        "miniature",
        "--data",
        "shelf://data",
        "--run",
        "shelf://runs/restyling",
        *PLUGIN,
    ]
    arguments += [part for key, value in KEPT.items() for part in ("--set", f"{key}={value}")]
    code, out, _ = run(capsys, *arguments)
    assert code == 0 and "Trained for 2 steps in shelf://runs/restyling" in out
    code, _, error = run(capsys, *arguments, "--seed", "3")
    assert code == 2 and "shelf://runs/restyling holds a run with other settings: seed (was 0, now 3)" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*TRAIN, "--data", "ftp://host/data"], "ftp://host/data cannot be reached: Beam has no ftp:// here, only"),
        (
            [*TRAIN, "--data", "s3://bucket/data"],
            "Beam has no s3:// here, only shelf://: pip install 'apache-beam[aws]'",
        ),
        ([*TRAIN, "--data", "shelf://nothing"], "is not prepared in shelf://nothing/ (nothing is prepared there)"),
        (
            [*TRAIN, "--data", "shelf://data", "--sources", "bdd100k"],
            "data set 'bdd100k' is not prepared in shelf://data/ (prepared there: ",
        ),
        ([*TRAIN, "--set", "data=shelf://locked/data"], "shelf://locked/data cannot be read"),
        ([*TRAIN, "--data", "shelf://a[1]"], "are patterns; choose a name without them"),
        ([*TRAIN, "--data", "shelf://data/../../x"], "names no folder"),
        ([*TRAIN, "--data", "shelf://data", "--run", "shelf://data"], "shelf://data is not empty and holds no run"),
        (["evaluate", "--run", "shelf://runs/none"], "shelf://runs/none is not a run directory (it has no run.json)"),
        (["predict", "--run", "shelf://locked/run", "--input", ".", "--output", "x"], "shelf://locked/run cannot be"),
        (["runs", "shelf://locked"], "shelf://locked cannot be read"),
        (["evaluate", "--run", "runs/a", "--json", "shelf://x.json"], "shelf://x.json is a URL: expected a path"),
        (["export", "--run", "runs/a", "--output", "shelf://models"], "shelf://models is a URL: expected a path"),
        (["inspect", "shelf://data/gta5"], "shelf://data/gta5 is a URL: expected a path"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(shelf, machine, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    filesystem.connect(["--beam_plugins=shelf"])
    code, out, error = run(capsys, *arguments, *([] if arguments[0] == "inspect" else PLUGIN))
    assert code in (1, 2) and message in error and len(error.strip().splitlines()) == 1, error
    assert not out.startswith("Trained")


def test_options_that_reach_nothing(machine, prepared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    local = [*TRAIN, "--data", prepared_data, "--dry-run"]
    code, _, error = run(capsys, *local, "--beam-option", "s3_verify=x")
    assert code == 2 and "--beam-option s3_verify=x has no meaning without a URL: leave it out" in error
    code, _, error = run(capsys, *TRAIN, "--data", "shelf://data", "--beam-option", "direct_num_workers=2")
    assert code == 2 and "--beam-option direct_num_workers is no option of a file system" in error


def test_a_cache_that_is_no_folder_of_this_machine(monkeypatch, capsys):
    monkeypatch.setenv(cache.VARIABLE, "gs://bucket/cache")
    code, _, error = run(capsys, "runs", "shelf://runs", *PLUGIN)
    assert code == 2 and f"{cache.VARIABLE}: gs://bucket/cache is a URL: expected a path on this machine" in error


def test_a_plugin_that_python_does_not_find(machine, capsys):
    code, _, error = run(capsys, "runs", "shelf://runs", "--beam-option", "beam_plugins=no_such")
    assert code == 2 and "--beam-option beam_plugins=no_such: No module named 'no_such'; expected a module" in error


def test_without_beam(machine, monkeypatch, capsys):
    monkeypatch.setattr(filesystem.importlib.util, "find_spec", lambda name: None)
    code, _, error = run(capsys, *TRAIN, "--data", "gs://bucket/data")
    assert code == 2 and "gs://bucket/data is reached by Apache Beam, which is not installed: pip install" in error


def test_training_is_not_begun_for_a_place_that_cannot_be_written(shelf, machine, monkeypatch, capsys):
    def refused(path, url):
        raise MsdaError(f"{url} cannot be written: forbidden")

    monkeypatch.setattr(filesystem, "send", refused)
    arguments = [*TRAIN, "--data", "shelf://data", "--run", "shelf://runs/refused", *PLUGIN]
    code, _, error = run(capsys, *arguments)
    assert code == 1 and error.endswith(
        "shelf://runs/refused/networks/s-all/progress.json cannot be written: forbidden\n"
    )


def test_machines_that_train_together_share_the_run(machine, monkeypatch, capsys):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    code, _, error = run(capsys, *TRAIN, "--run", "shelf://runs/x", *PLUGIN)
    assert code == 2 and "shelf://runs/x is a URL, whose copy each machine has for itself" in error


def test_data_are_brought_once_and_known_to_be_whole(shelf, machine, tmp_path, monkeypatch, capsys):
    root = tmp_path / "shelf"
    shutil.copytree(shelf / "data", root / "data")
    monkeypatch.setenv("SHELF", str(root))
    filesystem.connect(["--beam_plugins=shelf"])
    real, found = filesystem.bring, []

    def bring(url, path, **options):
        found.append(url.removeprefix("shelf://data/"))
        real(url, path, **options)

    monkeypatch.setattr(filesystem, "bring", bring)
    wanted = {"gta5": data_sets.training, "cityscapes": data_sets.none}
    data = data_sets.bring("shelf://data/", wanted)
    shards = ["gta5/train-00000-of-00001.tfrecord", "gta5/test-00000-of-00001.tfrecord"]
    assert {name for name in found if name.endswith(".tfrecord")} <= set(shards) and shards[0] in found
    assert (data / shards[0]).read_bytes() == (root / "data" / shards[0]).read_bytes()
    found.clear()
    assert data_sets.bring("shelf://data", wanted) == data
    assert found == ["gta5/dataset.json", "cityscapes/dataset.json"]

    # Prepared anew there: what is the same stays.
    prepared.write(root / "new", "gta5", seed=7, train=5)
    shutil.rmtree(root / "data/gta5")
    (root / "new/gta5").rename(root / "data/gta5")
    data_sets.bring("shelf://data", wanted)
    assert (data / shards[0]).read_bytes() == (root / "data" / shards[0]).read_bytes()
    assert (data / "gta5/dataset.json").read_bytes() == (root / "data/gta5/dataset.json").read_bytes()

    # Half copied there.
    shutil.rmtree(data)
    whole = (root / "data" / shards[0]).read_bytes()
    (root / "data" / shards[0]).write_bytes(whole[:-1])
    with pytest.raises(MsdaError, match="shelf://data/gta5/train-.* is not the file that dataset.json beside it descr"):
        data_sets.bring("shelf://data", wanted)
    assert not (data / "gta5/dataset.json").exists() and not (data / shards[0]).exists()
    (root / "data" / shards[0]).write_bytes(whole)

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1000))
    with pytest.raises(MsdaError, match="GB are to be brought to .*, where 0.00 GB are free: make room, or name anoth"):
        data_sets.bring("shelf://data", wanted)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage)
    assert data_sets.bring("shelf://data", wanted) == data and (data / shards[0]).read_bytes() == whole
