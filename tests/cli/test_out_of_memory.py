"""Memory that really runs out: TensorFlow's own error, and remedies that `train` takes."""

import re
import shlex

import command
import fresh_runs
import pytest
import tensorflow as tf

from msda_tf import config as configuration
from msda_tf.inference.members import Inference
from msda_tf.methods import forecast
from msda_tf.methods.task import SegmentationTask


def exhaust(*_, **__):
    """Asks for 64 TiB."""
    return {"S1": tf.random.uniform([1 << 43], dtype=tf.float64)}


def test_a_step_that_does_not_fit_ends_in_a_line_with_remedies(prepared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(SegmentationTask, "train_step", exhaust)
    ask = ["train", "--preset", "tiny", "--target", "cityscapes", "--data", prepared_data, "--run", tmp_path / "run"]
    ask += ["--set", "layout=s-all", "--set", "aspp_rates=[2]", "--set", "evaluate_every=0"]
    code, _, error = command.run(capsys, *ask)
    line = error.strip().splitlines()[-1]
    assert code == 1 and "Traceback" not in error
    assert "out of memory (OOM when allocating tensor with shape[8796093022208] and type double)" in line
    for remedy in ("--recompute", "--set accumulate=2", "--set scale=0.5", "--restart"):
        assert remedy in line
    assert "bfloat16" not in line  # which fails on some CPUs


@pytest.mark.parametrize(
    "settings",
    [{}, {"batch_size": 4, "crop": "[128,96]"}, {"recompute": "true", "precision": "mixed_bfloat16", "scale": "0.5"}],
)
def test_every_remedy_is_a_setting_that_is_not_on_yet_and_is_taken(settings):
    given = {"target": "cityscapes", **settings}
    config, _ = configuration.resolve(preset="tiny", settings=given)
    remedies = list(map(str, forecast.remedies(config)))
    assert remedies[-1].startswith(f"--set scale={config.scale / 2:g} ")
    for remedy in remedies:
        words = shlex.split(re.sub(r" \(.*", "", remedy))
        if words[0] == "--set":
            key, _, value = words[1].partition("=")
        else:
            key, value = words[0].removeprefix("--"), words[1] if len(words) > 1 else "true"
        changed, _ = configuration.resolve(preset="tiny", settings=given | {key: value})
        configuration.validate(changed)
        assert getattr(changed, key) != getattr(config, key)
    spread = map(str, forecast.remedies(config, devices=config.batch_size))
    assert list(spread) == [r for r in remedies if "accumulate" not in r]
    (apart,) = [r for r in forecast.remedies(config, together=True) if str(r) not in remedies]
    assert apart.settings == {"passes": "apart"}


@pytest.mark.parametrize("options", [[], ["--unlabelled"]])
def test_images_that_do_not_fit_are_named_with_what_to_do(prepared_data, tmp_path, monkeypatch, capsys, options):
    run = fresh_runs.write(tmp_path / "run", prepared_data, layout="s-all", aspp_rates=[2])
    command.run(capsys, "evaluate", "--run", run.directory, "--unlabelled", "--limit", 1)  # scores held-out images
    monkeypatch.setattr(Inference, "label_maps", exhaust)
    monkeypatch.setattr(Inference, "label_maps_and_samples", lambda *_: (exhaust(), exhaust()))
    code, _, error = command.run(capsys, "evaluate", "--run", run.directory, *options)
    assert code == 1 and "Traceback" not in error
    assert "out of memory (OOM when allocating tensor with shape[8796093022208]" in error
    assert "images of 129x65" in error and "prepare cityscapes with --scale 0.5" in error
