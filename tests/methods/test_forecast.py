"""A step that will not fit is told of before it is taken, with the settings with which it would."""

import dataclasses
import re

import command
import pytest
import tensorflow as tf

from msda_tf import config as configuration
from msda_tf.config.branches import plan
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.methods import forecast
from msda_tf.methods.task import SegmentationTask
from msda_tf.train import load_manifests
from msda_tf.training import memory
from msda_tf.training.workers import local_strategy

pytestmark = pytest.mark.usefixtures("shallow")

SETTINGS = {"target": "cityscapes", "method": "supervised", "layout": "s-all", "aspp_rates": [2]}


def make(config):
    manifests = load_manifests(config)
    (network,) = plan(config)
    strategy, corrupt = local_strategy(), CorruptRecords(limit=0)
    return SegmentationTask(config=config, network=network, manifests=manifests, strategy=strategy, corrupt=corrupt)


def needed(config):
    task = make(config)
    return task.step_bytes(next(task.batches(0)))


@pytest.fixture
def resolve(prepared_data):
    """Makes a configuration of a tiny network, with some settings changed."""
    return lambda **settings: configuration.resolve(
        preset="tiny", settings=SETTINGS | {"data": str(prepared_data)} | settings
    )[0]


def test_what_is_named_fits_and_what_does_not_fit_is_not_named(resolve, monkeypatch):
    config = resolve()
    costs = {}
    for each in forecast.remedies(config, on_gpu=False):
        costs[each.words] = needed(dataclasses.replace(config, **each.settings))
    limit = sorted(costs.values())[1]
    monkeypatch.setattr(memory, "cpu_left", lambda: int(limit / 0.9) + 1)
    task = make(config)
    found = forecast.fitting(forecast.shortage(task), task, load_manifests(config))
    fitting = [words for words, cost in costs.items() if cost <= limit]
    assert [words.partition(" (")[0] for words in found] == fitting
    assert len(fitting) == 2 < len(costs) and "--set scale=0.5" in fitting


def test_several_are_named_together_where_none_helps_alone(resolve, monkeypatch):
    config = resolve(batch_size=1)
    first, second = forecast.remedies(config, on_gpu=False)
    limit = needed(dataclasses.replace(config, **first.settings, **second.settings))
    monkeypatch.setattr(memory, "cpu_left", lambda: int(limit / 0.9) + 1)
    task = make(config)
    (found,) = forecast.fitting(forecast.shortage(task), task, load_manifests(config))
    assert found.startswith(f"{first.words} {second.words} ({round(limit / 2**20)} MiB; a third more")


def test_of_a_gpu_the_limit_counts_and_the_weights_too(resolve, monkeypatch):
    task = make(resolve(passes="apart"))
    step, whole = task.step_bytes(task.blank_batch()), task.variable_bytes()
    whole += step
    monkeypatch.setattr(memory, "cpu_left", lambda: 1)
    monkeypatch.setattr(memory, "gpu_limit", lambda: int(whole / 0.9) + 1)
    assert forecast.shortage(task) is None
    monkeypatch.setattr(memory, "gpu_limit", lambda: int(whole / 0.9) - 1)
    assert forecast.shortage(task).needed == whole
    monkeypatch.setattr(memory, "gpu_limit", lambda: None)
    assert forecast.shortage(task).needed == step
    monkeypatch.setattr(memory, "cpu_left", lambda: None)
    assert forecast.shortage(task) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "self-training", "pseudo_margins": [0.1, 0, 0, 0]},
        {"crop": [64, 48], "batch_size": 4, "layout": "joint"},
        {"scale": 0.7, "loss_at": "label", "method": "adversarial"},
    ],
)
def test_a_blank_batch_is_like_a_real_one(resolve, settings):
    task = make(resolve(**settings))
    blank, real = task.blank_batch(), next(task.batches(0))
    kinds = [
        tf.nest.map_structure(tf.type_spec_from_value, (each["sources"], each["target"])) for each in (blank, real)
    ]
    assert kinds[0] == kinds[1]


def test_of_a_pool_the_blank_batch_has_the_largest_images(resolve, tmp_path):
    import prepared

    for name, size in (("small", (65, 129)), ("large", (97, 129)), ("city", (65, 97))):
        prepared.write(tmp_path, name, size=size, train=2, test=1)
    task = make(resolve(data=str(tmp_path), sources=["small", "large"], target="city", batch_size=1))
    blank = task.blank_batch()
    (source,) = blank["sources"]
    assert source["image"].shape == (1, 97, 129, 3) and source["label"].shape == (1, 97, 129)
    assert blank["target"]["image"].shape == (1, 65, 97, 3)


def test_the_command_says_so_before_the_first_step_and_goes_on(prepared_data, tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.setattr(memory, "cpu_left", lambda: 1000)
    ask = ["train", "--preset", "tiny", "--target", "cityscapes", "--data", prepared_data, "--run", tmp_path / "run"]
    ask += ["--no-adapt", "--recompute", "--steps", "1"]
    for setting in ("aspp_rates=[2]", "evaluate_every=0", "held_out=0", "merge=max-logit", "batch_size=1"):
        ask += ["--set", setting]
    code, output, _ = command.run(capsys, *ask)
    assert code == 0 and "Trained s-all for 1 steps" in output
    first, second = [message for message in caplog.messages if message.startswith("s-all: ")]
    assert re.fullmatch(r"s-all: by estimate a step takes \d+ MiB of memory, and 1 MiB are left: it may run out", first)
    assert second.startswith("s-all: no setting of train makes it fit: use a smaller backbone; to choose, stop with")
    caplog.clear()
    code, _, _ = command.run(capsys, *ask)
    assert code == 0 and not caplog.messages  # nothing is left to be trained
