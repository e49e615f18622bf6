"""Every knob is documented and read."""

import pathlib

import pytest

from msda_tf import config as configuration
from msda_tf.config import FIELDS, TrainConfig
from msda_tf.errors import UsageError

ROOT = pathlib.Path(__file__).parents[2]


def test_every_knob_is_documented_with_its_default_and_reason():
    rows = (ROOT / "docs" / "configuration.md").read_text().splitlines()
    values = configuration.to_dict(TrainConfig())
    for key in FIELDS:
        shown = "" if values[key] in ("", []) else f"`{values[key]}`"
        assert f"| `{key}` | {shown} | {TrainConfig().reason(key)} |" in rows, (
            f"docs/configuration.md lacks or misstates {key}"
        )


@pytest.mark.parametrize("key", FIELDS)
def test_every_knob_is_read(key):
    sources = [path for path in (ROOT / "msda_tf").rglob("*.py") if path.name not in ("config.py", "presets.py")]
    assert any(f"config.{key}" in path.read_text() for path in sources) or any(
        f'"{key}"' in path.read_text() and "getattr" in path.read_text() for path in sources
    )


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
