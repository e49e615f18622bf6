"""What a further method, backbone or decoder costs: one file that is loaded by name, and one line of a table."""

import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from msda_tf import config as configuration
from msda_tf.cli import train as train_command
from msda_tf.config import knobs
from msda_tf.config.branches import images_per_step, plan, shown_name
from msda_tf.config.train_config import TrainConfig
from msda_tf.errors import UsageError
from msda_tf.inference.networks import build_segmenter
from msda_tf.methods import METHODS, supervised
from msda_tf.models import backbones, decoders


class Squeeze(keras.layers.Layer):
    """A throw-away backbone: four average poolings."""

    family, channels, strides = "resnet", (3, 3, 3, 3), (2, 4, 8, 16)

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

    def call(self, images, training=False):
        return [tf.nn.avg_pool2d(images * self.scale, stride, stride, "SAME") for stride in self.strides]

    def foldable(self):
        return []


class PerPixel:
    """A throw-away decoder: a trunk that all branches share, and a bias for each."""

    def __init__(self, *, level, branches, num_classes, rates):
        self.trunk = keras.layers.Conv2D(num_classes, 1, name="trunk")
        self.classifiers = {name: keras.layers.Dense(num_classes, name=name) for name in branches}
        self._map, self._classes = {"feature": 2, "output": 3}[level], num_classes

    def build(self, channels):
        self.trunk.build((None, None, None, channels[self._map]))
        for classifier in self.classifiers.values():
            classifier.build((None, None, None, self._classes))

    def __call__(self, maps, branches, training):
        shared = self.trunk(maps[self._map])
        return {name: self.classifiers[name](shared) for name in branches}


@pytest.fixture
def entry(monkeypatch):
    """Adds a module of its own, with one function `make`, and a line of a table."""

    def add(table, name, make, **facts):
        module = types.ModuleType(f"msda_tf_throw_away_{name}")
        module.make = make
        monkeypatch.setitem(sys.modules, module.__name__, module)
        kind = type(next(iter(table.values())))
        monkeypatch.setitem(table, name, kind(module=module.__name__, summary="thrown away", **facts))

    return add


def test_a_backbone_and_a_decoder_are_a_file_and_a_line(entry, tmp_path):
    entry(backbones.BACKBONES, "squeeze", lambda name, *, norm, recompute: Squeeze(name="backbone"))
    entry(decoders.DECODERS, "per-pixel", PerPixel)
    config = TrainConfig(target="c", sources=("a", "b"), layout="joint", backbone="squeeze", decoder="per-pixel")
    (network,) = plan(config)
    first, second = build_segmenter(config, network, 5), build_segmenter(config, network, 5)
    images = np.random.default_rng(0).uniform(-100, 100, (1, 65, 129, 3)).astype(np.float32)
    logits = first(images)
    assert {level: tuple(maps["S-All"].shape) for level, maps in logits.items()} == {
        "feature": (1, 9, 17, 5),
        "output": (1, 5, 9, 5),
    }
    head = {variable.path.split("/", 1)[1] for variable in first.head_variables}
    assert {"output/trunk/kernel", "output/S-All/kernel", "feature/S1/bias"} <= head
    for variable in first.variables:
        variable.assign_add(tf.ones_like(variable))
    path = tf.train.Checkpoint(segmenter=first).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(segmenter=second).read(path).assert_consumed()
    np.testing.assert_array_equal(second(images)["output"]["S2"], first(images)["output"]["S2"])


def test_a_method_is_a_file_and_a_line(entry, prepared_data, tmp_path):
    entry(METHODS, "throw-away", supervised.make, adapts=False, discriminators=False)
    config = TrainConfig(target="cityscapes", sources=("gta5",), method="throw-away")
    (network,) = plan(config)
    assert shown_name(config, "S-All") == "No Adapt"
    assert images_per_step(config, network) == 1
    assert not build_segmenter(config, network, 5).discriminator_variables


@pytest.mark.parametrize(("key", "near"), [("method", "adversarial"), ("backbone", "resnet50"), ("decoder", "atrous")])
def test_an_unknown_name_is_answered_with_the_nearest(key, near):
    with pytest.raises(UsageError, match=f"{key} is one of .*, not '{near}x' .did you mean '{near}'"):
        configuration.resolve(settings={key: f"{near}x"})


@pytest.mark.parametrize(
    ("settings", "key", "needed"),
    [
        ({"momentum": 0.8}, "momentum", "optimizer=sgd"),
        ({"method": "supervised", "adv_weight_output": 0.5}, "adv_weight_output", "method=adversarial"),
        ({"method": "supervised", "discriminator_width": 8}, "discriminator_width", "method=adversarial"),
        ({"layout": "joint", "sampling": "balanced"}, "sampling", "layout=separate or layout=s-all"),
    ],
)
def test_a_knob_that_nothing_reads_is_refused(settings, key, needed, tmp_path):
    with pytest.raises(UsageError, match=f"command line: {key} has no effect here: it is read with {needed}"):
        configuration.resolve(settings=settings)
    # A grid gives one setting to runs that read it and to others.
    config, _ = configuration.resolve(settings=settings, refuse_unread=False)
    assert key in knobs.unread(config)
    file = tmp_path / "saved.yaml"
    file.write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
    with pytest.raises(UsageError, match=f"saved.yaml: {key} has no effect"):
        configuration.resolve(file=file)


def test_a_saved_configuration_repeats_what_it_does_not_read(tmp_path):
    import yaml

    for preset in ("paper", "tiny"):
        config, _ = configuration.resolve(preset=preset, settings={"target": "gta5", "method": "supervised"})
        file = tmp_path / f"{preset}.yaml"
        file.write_text(yaml.safe_dump(configuration.to_dict(config)))
        again, _ = configuration.resolve(file=file)
        assert again == config


def test_configurations_of_before_say_adapt(tmp_path):
    for value, method in (("false", "supervised"), ("true", "adversarial")):
        file = tmp_path / "config.yaml"
        file.write_text(f"adapt: {value}\ntarget: gta5\n")
        assert configuration.resolve(file=file)[0].method == method
        assert configuration.resolve(settings={"adapt": value})[0].method == method
        assert configuration.from_saved({"adapt": value == "true"}, file).method == method
    with pytest.raises(UsageError, match="command line: adapt expects true or false, not 'maybe'"):
        configuration.resolve(settings={"adapt": "maybe"})


def test_help_names_every_method():
    help_text = CliRunner().invoke(train_command.command, ["--help"]).output
    assert all(name in help_text for name in METHODS)
