"""Every knob of a stylize run is documented and read."""

import pathlib

import pytest

from msda_tf.config import knobs
from msda_tf.stylize.config import FREE, StylizeConfig

ROOT = pathlib.Path(__file__).parents[2]
FIELDS = list(knobs.fields(StylizeConfig))


def test_every_knob_is_documented_with_its_default_and_reason():
    rows = (ROOT / "docs" / "stylize.md").read_text().splitlines()
    values = knobs.to_dict(StylizeConfig())
    for key in FIELDS:
        shown = "" if values[key] == "" else f"`{values[key]}`"
        assert f"| `{key}` | {shown} | {StylizeConfig().reason(key)} |" in rows, f"docs/stylize.md misstates {key}"


@pytest.mark.parametrize("key", FIELDS)
def test_every_knob_is_read(key):
    sources = [path for path in (ROOT / "msda_tf" / "stylize").glob("*.py") if path.name != "config.py"]
    assert any(f"config.{key}" in path.read_text() for path in sources)


def test_what_may_change_on_the_way_are_knobs():
    assert set(FREE) < set(FIELDS)
