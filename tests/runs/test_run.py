"""run.json and config.yaml: read as they were written; damaged, edited or mixed ones end in one line."""

import ast
import hashlib
import json
import os
import pathlib
import shutil

import command
import fresh_runs
import numpy as np
import prepared
import pytest
import yaml

from msda_tf import config as configuration
from msda_tf import lock, runs, train
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import metrics
from msda_tf.runs import beginning, listing, made_from, target
from msda_tf.runs.directory import RunDirectory
from msda_tf.runs.made_from import MadeFrom, ScoredData, Weights
from msda_tf.training import checkpoint_files, log, progress


@pytest.fixture
def run(prepared_data, tmp_path):
    return fresh_runs.write(tmp_path / "run", prepared_data, weights=False)


@pytest.fixture
def whole_run(prepared_data, tmp_path):
    """A finished run of two networks with random weights."""
    run = fresh_runs.write(tmp_path / "run", prepared_data)
    for network in run.networks:
        log.append(run.folder(network).log, 10, {"seg/output/S1": 1.0})
        progress.note(run.folder(network), 10)
    return run


def change(run, **changes):
    """Rewrites run.json; None removes a key."""
    info = json.loads(run.paths.info.read_text()) | changes
    run.paths.info.write_text(json.dumps({key: value for key, value in info.items() if value is not None}))


def test_a_run_reads_back(run, prepared_data):
    again = runs.read(run.directory)
    assert again == run
    assert again.data == prepared_data and again.dataset("gta5")["width"] == 129
    assert again.paths.network("s-all").log == run.directory / "networks" / "s-all" / "metrics.jsonl"


WRONG = [
    {"datasets": None},
    {"datasets": []},
    {"datasets": {}},
    {"datasets": {"cityscapes": {"dataset.json": 1, "width": 1, "height": 1}}},
    {"datasets": {"cityscapes": {"dataset.json": "0", "width": 1, "height": 1}}},
    {"datasets": {"cityscapes": {"width": 1}}},
    {"datasets": {"cityscapes": 3}},
    {"networks": None},
    {"networks": {"sources": "S1"}},
    {"networks": ["sources"]},
    {"classes": []},
    {"classes": "road"},
    {"classes": [{"name": "road"}]},
    {"classes": [{"name": 1, "color": [0, 0, 0]}]},
    {"classes": [{"name": "road", "color": [0, 0]}]},
    {"classes": [{"name": "road", "color": [0, 0, 256]}]},
    {"classes": [{"name": "road", "color": [0, 0, 0.5]}]},
    {"mean_rgb": [1, 2]},
    {"mean_rgb": [1, 2, "3"]},
    {"mean_rgb": {"r": 1}},
    {"format": "1"},
    {"format": 10**40},
    {"provenance": 3},
    {"data": 3},
    {"config": []},
]


@pytest.mark.parametrize("changes", WRONG)
def test_wrong_types_are_named(run, changes):
    change(run, **changes)
    with pytest.raises(MsdaError, match="run.json is damaged") as error:
        runs.read(run.directory)
    assert "\n" not in str(error.value)
    (entry,) = listing.find(run.directory)
    assert entry.state == "damaged" and "run.json is damaged" in entry.damage


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"[" * 100_000, b"9" * 5000, b"[]", b"null", b'{"format": NaN}'])
def test_anything_is_no_run_json(run, content):
    run.paths.info.write_bytes(content)
    with pytest.raises(MsdaError, match="run.json is damaged"):
        runs.read(run.directory)


@pytest.mark.parametrize(
    ("key", "value", "was"),
    [
        ("aspp_rates", [2, 8], "[2, 4]"),
        ("scale", 0.5, "1.0"),
        ("norm", "frozen", "group"),
        ("generator_lr", 1.0, "0.002"),
    ],
)
def test_an_edited_configuration_is_refused(run, key, value, was):
    """Also where the weights fit another network just as well."""
    config = yaml.safe_load(run.paths.config.read_text())
    run.paths.config.write_text(yaml.safe_dump(config | {key: value}))
    with pytest.raises(UsageError) as error:
        runs.read(run.directory)
    assert f"{run.paths.config} is not as the run was made: {key} (was {was}, now {value})" in str(error.value)


def test_what_is_done_with_the_networks_afterwards_may_be_edited(run):
    config = yaml.safe_load(run.paths.config.read_text())
    changes = {"merge": "max-probability", "merge_at": "map", "select": "best", "data": "elsewhere"}
    run.paths.config.write_text(yaml.safe_dump(config | changes))
    again = runs.read(run.directory)
    assert (again.config.merge, again.config.select, again.data) == ("max-probability", "best", None)


def test_a_layout_that_the_run_does_not_have(run):
    """In a run of an earlier version, which does not note its settings."""
    change(run, config=None, data=None)
    config = yaml.safe_load(run.paths.config.read_text())
    run.paths.config.write_text(yaml.safe_dump(config | {"layout": "joint"}))
    with pytest.raises(UsageError, match=r"describes networks joint \(S1 S2 S-All\), and the run has sources"):
        runs.read(run.directory)


@pytest.mark.parametrize(
    "text", ["1: 2", "steps: .nan", "generator_lr: .inf", "target: ''", "sources: []", "- a", "\0"]
)
def test_any_text_is_no_configuration(run, text):
    run.paths.config.write_text(text)
    with pytest.raises(UsageError) as error:
        runs.read(run.directory)
    assert "\n" not in str(error.value)


# The data


@pytest.fixture
def relative(tmp_path, monkeypatch):
    """A run made in `home` with the relative folder `data`."""
    home = tmp_path / "home"
    for seed, name in enumerate(("gta5", "synthia", "cityscapes")):
        prepared.write(home / "data", name, seed=seed, train=2, test=2)
    monkeypatch.chdir(home)
    return fresh_runs.write(home / "run", pathlib.Path("data"), layout="s-all")


def test_relative_data_is_where_the_run_had_it(relative, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    prepared.write(elsewhere / "data", "cityscapes", seed=9, train=2, test=2)
    monkeypatch.chdir(elsewhere)
    run = runs.read(relative.directory)
    found = target.find([run])
    assert found.manifest.directory == tmp_path / "home" / "data" / "cityscapes" and found.as_trained


def test_data_that_moved_with_its_run(relative, tmp_path, monkeypatch):
    (tmp_path / "home").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    found = target.find([runs.read("run")])
    assert found.manifest.directory.resolve() == tmp_path / "moved" / "data" / "cityscapes"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is neither in .*home/data, where it was, nor in data under this folder"):
        target.find([runs.read("moved/run")])


def test_other_data_is_refused_unless_asked_for(relative, tmp_path, monkeypatch, capsys):
    elsewhere = tmp_path / "elsewhere"
    prepared.write(elsewhere / "data", "cityscapes", seed=9, train=2, test=2)
    run = relative.directory
    shutil.rmtree("data/cityscapes")
    shutil.copytree(elsewhere / "data" / "cityscapes", "data/cityscapes")
    code, _, error = command.run(capsys, "evaluate", "--run", run)
    assert code == 2 and "is not the data set that" in error and "--data" in error
    assert not (run / "metrics.json").exists()
    code, output, error = command.run(capsys, "evaluate", "--run", run, "--data", elsewhere / "data")
    assert code == 0, error
    assert "scored on data that is not what the networks were adapted to" in output
    value = json.loads((run / "metrics.json").read_text())["made_from"]["data"]
    assert value["as_trained"] is False and value["directory"] == str(elsewhere / "data" / "cityscapes")
    assert listing.summary(run).scored.endswith("on other data than the run's")


def test_runs_of_earlier_versions_do_not_note_where_their_data_is(relative, tmp_path, monkeypatch):
    change(relative, config=None, data=None)
    assert target.find([runs.read(relative.directory)]).as_trained
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not prepared in data/"):
        target.find([runs.read(relative.directory)])
    prepared.write(tmp_path / "data", "cityscapes", seed=9)
    with pytest.raises(UsageError, match="is not the data set that"):
        target.find([runs.read(relative.directory)])


# What a result was made from


def test_made_from_reads_back_and_reads_what_was_written_before():
    weights = (Weights("run/networks/s-all", 10, False, "ab"), Weights("other/networks/s-all", 5, True))
    data = ScoredData("city", "/data/city", "cd", True)
    whole = MadeFrom("max-logit", "image", ("S-All",), weights, data)
    assert MadeFrom.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    before = {
        "merge": "max-logit",
        "merge_at": "image",
        "merged": ["S-All"],
        "networks": [{"network": "run/networks/s-all", "step": 10, "selected_on_target_labels": False}],
    }
    read = MadeFrom.from_json(before)
    assert read.networks == (Weights("run/networks/s-all", 10, False),) and read.data is None
    assert MadeFrom.from_json({}) == MadeFrom()
    assert read.networks[0].may_be(weights[0]) and not read.networks[0].may_be(weights[1])
    assert not weights[0].may_be(Weights("run/networks/s-all", 10, False, "ff"))


@pytest.mark.parametrize(
    "value",
    [
        {"networks": {}},
        {"networks": [3]},
        {"networks": [{"network": "a"}]},
        {"networks": [{"network": "a", "step": "ten", "selected_on_target_labels": False}]},
        {"networks": [{"network": "a", "step": 1, "selected_on_target_labels": "no"}]},
        {"merged": "S1"},
        {"merge": 3},
        {"data": []},
        {"data": {"name": "city"}},
    ],
)
def test_a_damaged_made_from_is_named(value):
    with pytest.raises(MsdaError, match="made_from is damaged"):
        MadeFrom.from_json(value)


def test_metrics_carry_the_checksums_of_data_and_weights(whole_run, prepared_data, capsys):
    assert command.run(capsys, "evaluate", "--run", whole_run.directory, "--limit", 1)[0] == 0
    found = MadeFrom.from_json(metrics.read(whole_run.paths.metrics).made_from)

    def sha256(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert found.data == ScoredData(
        "cityscapes",
        str(prepared_data / "cityscapes"),
        sha256(prepared_data / "cityscapes" / "dataset.json"),
        as_trained=True,
    )
    for weights, name in zip(found.networks, ("sources", "s-all"), strict=True):
        folder = whole_run.directory / "networks" / name / "checkpoints" / "step-00000010"
        assert weights.checkpoint_sha256 == sha256(folder / "checkpoint.json")
        assert weights.network == f"{whole_run.directory.name}/networks/{name}"


# Beginning and going on


def settings(data, **more):
    values = {"target": "cityscapes", "data": str(data), "steps": 4, "aspp_rates": [2, 4], "layout": "s-all"}
    values |= {"evaluate_every": 0, "discriminator_width": 4} | more
    return configuration.resolve(preset="tiny", settings=values)[0]


def test_starting_weights_are_known_by_their_checksum(whole_run, prepared_data, tmp_path):
    values = {"target": "cityscapes", "data": str(prepared_data), "steps": 1, "layout": "s-all", "aspp_rates": [2, 4]}
    values |= {"method": "supervised", "evaluate_every": 0, "init": str(whole_run.directory)}
    config, _ = configuration.resolve(preset="tiny", settings=values, refuse_unread=False)
    train.train(config, tmp_path / "next")
    (noted,) = runs.read(tmp_path / "next").info["starting_weights"].values()
    folder = checkpoint_files.folder(whole_run.paths.network("s-all").checkpoints, 10)
    assert noted["sha256"] == hashlib.sha256((folder / "checkpoint.json").read_bytes()).hexdigest()
    assert noted["source"] == str(whole_run.directory) and noted["kind"] == "checkpoint of this project"
    done, of = noted["variables"]["backbone"]
    assert done == of > 0


@pytest.mark.parametrize("lost", ["networks", "networks/sources", "networks/sources/*"])
@pytest.mark.parametrize("earlier", [False, True])
def test_lost_networks_are_not_trained_anew(whole_run, lost, earlier):
    run = whole_run
    if earlier:
        change(run, config=None, data=None)
        for path in run.directory.rglob("progress.json"):
            path.unlink()
    for path in run.directory.glob(lost):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if earlier and lost != "networks":
        # Earlier versions made a network's folder only when its training began: nothing tells but an evaluation.
        metrics.write(evaluated(run), run.paths.metrics)
    before = sorted(run.directory.rglob("*"))
    with pytest.raises(MsdaError, match="networks/s.* is gone, with all that was trained.* --restart"):
        train.train(run.config, run.directory)
    assert sorted(run.directory.rglob("*")) == before


def evaluated(run):
    weights = [Weights(f"{run.directory.name}/networks/{name}", 10, False) for name in ("sources", "s-all")]
    matrices = {"S1": np.eye(19, 20, dtype=np.int64)}
    return metrics.Metrics(
        "cityscapes", "test", 3, run.classes.names, matrices, MadeFrom(networks=tuple(weights)).to_json()
    )


def test_a_kill_while_a_run_is_made_or_removed(prepared_data, tmp_path, monkeypatch):
    """Before run.json nothing counts; after it everything must be there; a restart does not leave a mixture."""
    config, directory = settings(prepared_data), tmp_path / "run"
    found = train.load_manifests(config)
    directory.mkdir()

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    def begin_and_die(at, **options):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(at, killed)
            beginning.begin(directory, config, found, **options)

    begin_and_die("msda_tf.runs.run.provenance", restart=False)
    begin_and_die("msda_tf.files.write_json", restart=False)
    assert not runs.exists(directory)
    beginning.begin(directory, config, found, restart=False)
    beginning.check_there(runs.read(directory))
    for folder in (directory / "pictures", directory / "networks" / "s-all" / "checkpoints" / "step-00000001"):
        folder.mkdir(parents=True)
        (folder / "old").write_text("")
    begin_and_die("shutil.rmtree", restart=True)
    begin_and_die("msda_tf.training.progress.note", restart=True)
    with pytest.raises(MsdaError, match="--restart"):
        beginning.check_there(runs.read(directory))
    beginning.begin(directory, config, found, restart=True)
    beginning.check_there(runs.read(directory))
    assert not list(directory.rglob("old"))
    assert sorted(path.name for path in directory.iterdir()) == ["config.yaml", "networks", "run.json"]


@pytest.mark.parametrize("restart", [False, True])
def test_one_training_at_a_time(run, restart):
    before = {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    with lock.hold(run.directory, "msda-tf train"):
        with pytest.raises(MsdaError, match="run is being written by msda-tf train, process"):
            train.train(run.config, run.directory, restart=restart)
        assert {path: path.read_bytes() for path in before} == before


def test_what_cannot_be_trained_leaves_no_run(prepared_data, tmp_path):
    for changes in ({"batch_size": 65536, "scale": 4}, {"source_size": [32768, 32768], "batch_size": 1024}):
        config = settings(prepared_data, **changes)
        with pytest.raises(UsageError, match=r"batch_size \d+ of images of .* takes \d+ GB .* this machine has"):
            train.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_with_networks_but_no_run_json_is_a_half_copied_run(whole_run):
    whole_run.paths.info.unlink()
    with pytest.raises(UsageError, match="holds no run.*bring back run.json"):
        train.train(whole_run.config, whole_run.directory)


def test_only_two_files_know_the_paths_inside_a_run():
    """Whoever else names one of them would have to change with it."""
    names = {"networks", "checkpoints", "metrics.jsonl", "metrics.json", "pictures", "config.yaml", "run.json"}
    root = pathlib.Path(made_from.__file__).parents[2]
    allowed = {root / "msda_tf/runs/directory.py", root / "msda_tf/training/folder.py"}
    wrong = []
    for path in [*root.glob("msda_tf/**/*.py"), *root.glob("cli/**/*.py"), *root.glob("data_prep/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and path not in allowed:
                right = node.right
                if isinstance(right, ast.Constant) and right.value in names:
                    wrong.append(f"{path}:{node.lineno}")
    assert [each for each in wrong if "stylize/run.py" not in each] == []  # a stylize run has a config.yaml, too


def test_paths_of_a_run():
    paths = RunDirectory(pathlib.Path("r"))
    relative = {os.fspath(p) for p in (paths.config, paths.info, paths.metrics, paths.pictures, paths.network("x").log)}
    assert relative == {"r/config.yaml", "r/run.json", "r/metrics.json", "r/pictures", "r/networks/x/metrics.jsonl"}


def test_a_run_goes_on_as_it_was_begun_before_there_was_a_knob(run):
    """Its preset may have changed since: held_out of tiny is one that runs of earlier versions did not know."""
    asked = configuration.resolve(preset="tiny", settings=configuration.to_dict(run.config), refuse_unread=False)[0]
    assert asked.held_out == 20 and runs.as_begun(run, asked) == asked
    saved = yaml.safe_load(run.paths.config.read_text())
    del saved["held_out"]
    run.paths.config.write_text(yaml.safe_dump(saved))
    change(run, config=saved)
    older = runs.read(run.directory)
    runs.check_same(older, asked, {})
    assert runs.as_begun(older, asked) == older.config and older.config.held_out == 0
