"""The preset that a configuration is nearest to, and what it changes."""

import pytest

from msda_tf.config import resolve
from msda_tf.config.deviations import described, nearest_preset
from msda_tf.config.presets import PRESETS

TARGET = {"target": "cityscapes", "data": "elsewhere", "seed": 3}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_its_own_nearest(preset):
    config, _ = resolve(preset=preset, settings=TARGET)
    assert nearest_preset(config) == (preset, {})
    assert described(config) == f"preset {preset}"


def test_what_was_changed_is_named():
    config, _ = resolve(preset="tiny", settings=TARGET | {"layout": "joint", "flip": "false", "aspp_rates": "[2, 4]"})
    assert nearest_preset(config) == ("tiny", {"layout": "joint", "flip": False, "aspp_rates": [2, 4]})
    assert described(config) == "preset tiny, with flip=false, layout=joint, aspp_rates=2,4"
    assert described(config, most=2) == "preset tiny, with flip=false, layout=joint, and 1 more"
