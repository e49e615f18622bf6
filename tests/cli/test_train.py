"""`msda-tf train`: what it refuses, what it shows, and that a killed run ends as if nothing had happened."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import command
import prepared
import pytest
import tensorflow as tf
import yaml

from msda_tf import config as configuration
from msda_tf import runs, train
from msda_tf.cli.main import main
from msda_tf.config import FIELDS
from msda_tf.config.presets import PRESETS


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of `msda-tf train ...`."""
    return command.run(capsys, "train", *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "gta5", "--sources", "gta5,synthia"], "target 'gta5' is also among the sources"),
        (["--target", "gta5", "--sources", "synthia,synthia"], "a source is named twice"),
        (["--target", "mars"], "no sources for target 'mars'"),
        ([], "no target: name the data set to adapt to with --target"),
        (["--target", "mars", "--sources", "gta5"], "data set 'mars' is not prepared in "),
        (["--target", "gta5", "--data", "nowhere"], "is not prepared in nowhere/ (nothing is prepared there)"),
        (["--target", "gta5", "--preset", "papre"], "unknown preset 'papre' (did you mean 'paper'?)"),
        (["--target", "gta5", "--set", "stepz=3"], "command line: unknown key 'stepz' (did you mean 'steps'?)"),
        (["--target", "gta5", "--set", "steps=many"], "command line: steps expects a whole number, not 'many'"),
        (["--target", "gta5", "--set", "scale=0"], "command line: scale must be at least 0.01, not 0.0"),
        (["--target", "gta5", "--set", "gan=wgan"], "command line: gan is one of vanilla, lsgan, not 'wgan'"),
        (["--target", "gta5", "--set", "source_size=[640]"], "source_size expects [number, number] or null"),
        (["--target", "gta5", "--set", "aspp_rates=[]"], "aspp_rates needs positive numbers"),
        (["--target", "gta5", "--set", "window=[160,16]"], "window needs numbers of at least 32, not [160, 16]"),
        (["--target", "gta5", "--set", "flip"], "--set 'flip': expected KEY=VALUE"),
        (["--target", "gta5", "--set", "accumulate=2"], "batch_size 1 cannot be split into accumulate = 2"),
        (["--target", "gta5", "--config", "missing.yaml"], "missing.yaml cannot be read: No such file"),
    ],
)
def test_misuse_is_one_line(capsys, prepared_data, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    data = [] if "--data" in arguments else ["--data", prepared_data]
    code, _, error = run(capsys, *arguments, *data)
    assert code == 2
    assert error.startswith("msda-tf: ") and error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_errors_in_a_file_name_the_file(capsys, tmp_path):
    file = tmp_path / "my.yaml"
    for content, message in {
        "layout: seperate\n": f"{file}: layout is one of separate, joint, sources, s-all, not 'seperate' (did you mean",
        "steps: [1\nseed: 2\n": f"{file}:2: not YAML",
        "- steps\n": f"{file}: expected lines of 'key: value', found a list",
        "sources: {a: b}\n": f"{file}: sources expects a list of names",
        "flip: 1\n": f"{file}: flip expects true or false, not 1",
    }.items():
        file.write_text(content)
        code, _, error = run(capsys, "--target", "gta5", "--config", file)
        assert code == 2
        assert message in error, content


def test_a_source_without_labels_is_refused(capsys, tmp_path):
    prepared.write(tmp_path, "town", labelled=False)
    prepared.write(tmp_path, "city")
    code, _, error = run(capsys, "--target", "city", "--sources", "town", "--data", tmp_path, "--preset", "tiny")
    assert code == 2
    assert "source 'town' has no labels: only the target may be unlabelled" in error


def test_a_folder_with_other_things_is_left_alone(capsys, prepared_data, tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter one")
    code, _, error = run(capsys, "--target", "gta5", "--data", prepared_data, "--run", tmp_path, "--preset", "tiny")
    assert code == 2
    assert "is not empty and holds no run" in error
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_print_config_shows_every_value_and_its_origin_and_can_be_used_again(capsys, tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("seed: 3\nflip: true\n")
    arguments = ["--preset", "adaptsegnet", "--target", "synthia", "--config", file, "--set", "flip=false"]
    code, output, _ = run(capsys, *arguments, "--print-config")
    assert code == 0
    values = yaml.safe_load(output)
    assert list(values) == list(FIELDS)
    origins = {line.split(":")[0]: line.split("# ")[1].split(": ")[0] for line in output.splitlines()}
    assert (values["aspp_rates"], origins["aspp_rates"]) == ([6, 12], "preset adaptsegnet")
    assert (values["seed"], origins["seed"]) == (3, str(file))
    assert (values["flip"], origins["flip"]) == (False, "command line")
    assert (values["gan"], origins["gan"]) == ("vanilla", "default")
    assert (values["sources"], origins["sources"]) == (["gta5", "cityscapes"], "the other two")
    again = tmp_path / "again.yaml"
    again.write_text(output)
    config, _ = configuration.resolve(file=again)
    assert configuration.to_dict(config) == values


def test_no_adapt_is_the_pooled_branch_unless_asked_otherwise(capsys):
    for extra, layout in (([], "s-all"), (["--layout", "joint"], "joint")):
        _, output, _ = run(capsys, "--target", "gta5", "--no-adapt", *extra, "--print-config")
        values = yaml.safe_load(output)
        assert (values["method"], values["layout"]) == ("supervised", layout)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid(preset):
    config, _ = configuration.resolve(preset=preset, settings={"target": "gta5"})
    configuration.validate(config)
    assert configuration.from_saved(configuration.to_dict(config), "saved") == config


def weights(directory):
    """Every tensor of the newest checkpoint of a network's folder."""
    newest = sorted(directory.glob("checkpoints/step-*"))[-1]
    reader = tf.train.load_checkpoint(str(newest / "weights"))
    return {
        name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "CHECKPOINTABLE" not in name
    }


def test_a_run_killed_in_its_second_network_ends_as_one_never_interrupted(trained_run, tmp_path, capsys):
    """SIGKILL in another process, resumed in this one: networks, optimizer slots and data order, bit for bit."""
    directory = tmp_path / "run"
    (tmp_path / "config.yaml").write_text((trained_run.directory / "config.yaml").read_text())
    arguments = ["--config", tmp_path / "config.yaml", "--run", directory, "--set", "checkpoint_every=3"]
    command = [sys.executable, "-m", "msda_tf.cli", "train", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(2400):
            if list((directory / "networks" / "s-all").glob("checkpoints/step-00000003/*.json")):
                break
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = directory / "networks" / "sources" / "checkpoints" / "step-00000010" / "checkpoint.json"
    written = finished.stat().st_mtime_ns

    code, output, error = run(capsys, *arguments)
    assert code == 0, error
    assert "Trained sources, s-all for 10 steps" in output
    assert re.search(
        r"s-all: seg \d+\.\d+ .* best mIoU \d+\.\d+ % at step 10, chosen on the target's labels"
        r"  \d+\.\d images/s  \d+\.\d minutes",
        output,
    ), output
    assert finished.stat().st_mtime_ns == written
    for network in ("sources", "s-all"):
        expected, actual = (weights(root / "networks" / network) for root in (trained_run.directory, directory))
        assert expected.keys() == actual.keys()
        assert sum("generator_optimizer/_variables/" in name for name in expected) > 100  # both of Adam's moments
        different = [name for name in expected if not (expected[name] == actual[name]).all()]
        assert not different


def test_a_run_is_continued_with_its_own_settings_only(trained_run, prepared_data, capsys):
    config = trained_run.directory / "config.yaml"
    before = (trained_run.directory / "run.json").read_bytes()
    arguments = ["--config", config, "--run", trained_run.directory, "--set", "seed=5", "--set", "gan=lsgan"]
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert "seed (was 0, now 5)" in error and "gan (was vanilla, now lsgan)" in error and "--restart" in error
    # How often things are written is nobody's business but the user's.
    code, output, error = run(capsys, *arguments[:4], "--set", "keep_checkpoints=7")
    assert code == 0, error
    assert (trained_run.directory / "run.json").read_bytes() == before
    # What was chosen, and on what it runs, stands at the start.
    assert "\nBatch: 2 images of each domain a step, on the CPU\n" in f"\n{output}"
    assert (
        re.search(r"^Settings: preset tiny, with .*steps=10", output, re.MULTILINE) and "was begun with" not in output
    )


def test_other_versions_than_at_the_start_are_noted(trained_run, tmp_path, capsys):
    directory = tmp_path / "run"
    shutil.copytree(trained_run.directory, directory)
    info = json.loads((directory / "run.json").read_text())
    info["provenance"]["packages"]["tensorflow"] = "2.20.0"
    (directory / "run.json").write_text(json.dumps(info))
    code, output, error = run(capsys, "--config", directory / "config.yaml", "--run", directory)
    assert code == 0, error
    assert f"{directory} was begun with tensorflow 2.20.0, here {tf.__version__}: the last digits may differ" in output


def test_data_prepared_anew_is_noticed(trained_run, prepared_data, tmp_path, capsys):
    shutil.copytree(prepared_data, tmp_path / "data")
    manifest = tmp_path / "data" / "gta5" / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"kind": "custom"', '"kind": "gta5"'))
    config = trained_run.directory / "config.yaml"
    code, _, error = run(capsys, "--config", config, "--run", trained_run.directory, "--data", tmp_path / "data")
    assert code == 2
    assert "data set gta5 was prepared anew" in error


def test_the_run_directory_tells_where_it_comes_from(trained_run):
    info = json.loads((trained_run.directory / "run.json").read_text())
    assert info["networks"] == {"sources": ["S1", "S2"], "s-all": ["S-All"]}
    assert set(info["datasets"]) == {"gta5", "synthia", "cityscapes"}
    assert info["provenance"]["packages"]["tensorflow"] == tf.__version__
    rows = [
        json.loads(line)
        for line in (trained_run.directory / "networks" / "sources" / "metrics.jsonl").read_text().splitlines()
    ]
    assert rows[0]["step"] == 0 and "miou/Max Merge" in rows[0]
    last = [row for row in rows if "seg/output/S1" in row][-1]
    assert last["step"] == 10
    for name in ("adv/feature/S2", "disc/output/S1", "disc_accuracy/output/S2", "gradient_norm/generator"):
        assert last[name] > 0
    assert list((trained_run.directory / "networks" / "sources").glob("events.out.tfevents*"))


def test_restart_asks_first(trained_run, tmp_path, monkeypatch):
    directory = tmp_path / "run"
    shutil.copytree(trained_run.directory, directory)
    with pytest.raises(SystemExit), open(os.devnull) as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        main(["train", "--config", str(directory / "config.yaml"), "--run", str(directory), "--restart"])
    assert runs.exists(directory)


def test_default_directories_tell_runs_apart():
    def name(**settings):
        return str(train.default_directory(configuration.resolve(settings={"target": "gta5", **settings})[0]))

    names = [name(), name(method="supervised"), name(layout="joint"), name(seed=2)]
    assert names == ["runs/gta5", "runs/gta5-no-adapt", "runs/gta5-joint", "runs/gta5-seed2"]
