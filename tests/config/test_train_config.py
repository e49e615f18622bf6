"""Every knob is documented and read."""

import pathlib

import knob_reads
import pytest

from msda_tf import config as configuration
from msda_tf.config import FIELDS
from msda_tf.errors import UsageError

ROOT = pathlib.Path(__file__).parents[2]


def test_every_knob_is_read():
    # What checks and layers configurations is no use of a knob.
    assert set(FIELDS) - knob_reads.keys(".", without=("train_config.py", "presets.py", "knobs.py")) == set()


def test_a_later_layer_overrides_an_earlier_one(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_text("steps: 7\nseed: 1\n")
    config, origins = configuration.resolve(preset="tiny", file=file, settings={"seed": "2", "target": "synthia"})
    assert (config.backbone, config.steps, config.seed) == ("tiny", 7, 2)
    assert (origins["backbone"], origins["steps"], origins["seed"]) == ("preset tiny", str(file), "command line")
    assert (config.sources, origins["gan"]) == (("gta5", "cityscapes"), "default")


@pytest.mark.parametrize(("text", "value"), [("1e-4", 1e-4), ("2", 2.0), ("0.5", 0.5)])
def test_numbers_as_people_type_them(text, value):
    config, _ = configuration.resolve(settings={"generator_lr": text})
    assert config.generator_lr == value and isinstance(config.generator_lr, float)


@pytest.mark.parametrize("settings", [{"steps": True}, {"steps": 1.5}, {"scale": True}, {"flip": 1}, {"sources": 3}])
def test_wrong_types_are_refused_by_name(settings):
    with pytest.raises(UsageError, match=f"command line: {next(iter(settings))} expects"):
        configuration.resolve(settings=settings)


@pytest.mark.parametrize("key", ["data", "init"])
def test_paths_of_settings_mean_what_they_say(key, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for text in (*(("gs://bucket/x", "https://host/x.h5") if key == "init" else ()), "~nobody-of-that-name/x", ""):
        with pytest.raises(UsageError, match=f"command line: {key}: "):
            configuration.resolve(settings={key: text})
    assert getattr(configuration.resolve(settings={key: "~/x"})[0], key) == "/home/me/x"
    assert getattr(configuration.resolve(settings={key: "./~x/"})[0], key) == "./~x/"
    assert configuration.resolve(settings={"data": "gs://bucket/x"})[0].data == "gs://bucket/x"


def test_a_setting_of_references_to_references_is_refused_at_once():
    bomb = "[&a [x, x], " + ", ".join(f"&a{n} [{', '.join(['*a' if n == 0 else f'*a{n - 1}'] * 9)}]" for n in range(20))
    for text in (f"{bomb}]", "[" * 3000, "&a [*a]", "\0", "1" * 5000):
        with pytest.raises(UsageError, match="aspp_rates expects a list of whole numbers"):
            configuration.resolve(settings={"aspp_rates": text})
