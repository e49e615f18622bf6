"""`msda-tf stylize`: what it refuses and shows, and the way from training to a segmentation trained on its result."""

import pytest
import stylize_runs
import yaml
from command import run

from msda_tf import runs
from msda_tf.stylize.config import PRESETS, StylizeConfig


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "a"], "no source: name a prepared data set with --source"),
        (["--source", "a"], "no target: name a prepared data set with --target"),
        (["--source", "a", "--target", "a"], "source and target are both 'a'"),
        (["--source", "a", "--target", "b", "--set", "crop=66"], "crop 66 is not a multiple of 4"),
        (["--source", "a", "--target", "b", "--set", "crop=32"], "command line: crop must be at least 64"),
        (["--source", "a", "--target", "b", "--set", "chanels=3"], "unknown key 'chanels' (did you mean 'channels'?)"),
        (["--source", "a", "--target", "b", "--set", "shortest_side=256"], "crop 512 does not fit into images"),
        (["--source", "a", "--target", "b", "--preset", "unti"], "unknown preset 'unti' (did you mean 'unit'?)"),
        (["--source", "a", "--target", "b", "--data", "nowhere"], "is not prepared in nowhere/"),
    ],
)
def test_misuse_is_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(capsys, "stylize", "train", *arguments)
    assert code == 2 and error.startswith("msda-tf: ") and error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_apply_needs_a_stylize_run(capsys, tmp_path):
    code, _, error = run(capsys, "stylize", "apply", "--run", tmp_path)
    assert code == 2 and "is no stylize run (it has no stylize.json)" in error


def test_help_shows_examples(capsys):
    for arguments in (["stylize"], ["stylize", "--help"], ["stylize", "train", "--help"], ["stylize", "apply", "-h"]):
        code, output, _ = run(capsys, *arguments)
        assert code == 0 and "Examples:" in output and "gta5_as_cityscapes" in output or "--source gta5" in output


@pytest.mark.parametrize("preset", PRESETS)
def test_print_config_can_be_used_again(capsys, tmp_path, preset):
    arguments = ["--source", "gta5", "--target", "cityscapes", "--set", "seed=3"]
    _, output, _ = run(capsys, "stylize", "train", "--preset", preset, *arguments, "--print-config")
    values = yaml.safe_load(output)
    assert list(values) == list(StylizeConfig.__dataclass_fields__)
    file = tmp_path / "again.yaml"
    file.write_text(output)
    _, again, _ = run(capsys, "stylize", "train", "--config", file, "--print-config")
    assert yaml.safe_load(again) == values


def test_from_training_to_a_segmentation_of_stylised_sources(capsys, prepared_data, tmp_path):
    data, folder = tmp_path / "data", tmp_path / "unit"
    data.mkdir()
    for name in ("gta5", "synthia", "cityscapes"):
        (data / name).symlink_to(prepared_data / name)
    tiny = [f"{key}={value}" for key, value in stylize_runs.TINY.items()]
    settings = [argument for setting in tiny for argument in ("--set", setting)]
    train = ["stylize", "train", "--source", "gta5", "--target", "cityscapes", "--data", data, "--run", folder]
    code, output, error = run(capsys, *train, "--preset", "miniature", "--steps", 2, *settings)
    assert code == 0, error
    assert f"Next: tensorboard --logdir {folder}" in output
    code, output, error = run(capsys, "stylize", "apply", "--run", folder)
    assert code == 0, error
    assert "gta5_as_cityscapes: 9 of 9 images" in output and "mean RGB" in output
    assert "msda-tf train --target cityscapes --sources gta5_as_cityscapes" in output
    assert (data / "gta5_as_cityscapes" / "dataset.json").is_file()
    sources = ["--sources", "gta5_as_cityscapes,synthia", "--target", "cityscapes", "--layout", "sources"]
    few = ["--steps", 2, "--set", "evaluate_every=0", "--set", "aspp_rates=[2]", "--run", tmp_path / "run"]
    code, output, error = run(capsys, "train", "--preset", "tiny", "--data", data, *sources, *few)
    assert code == 0, error
    found = runs.read(tmp_path / "run")
    assert found.source_names() == {"S1": "gta5_as_cityscapes", "S2": "synthia"}
