"""The settings' pages say what the configurations say."""

import importlib.util
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "docs"
_SPEC = importlib.util.spec_from_file_location("write_settings", FOLDER / "write_settings.py")
write_settings = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(write_settings)


@pytest.mark.parametrize("name", write_settings.PAGES)
def test_a_page_is_as_its_configuration_is(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == write_settings.page(name), f"{name} is old: run make docs"


@pytest.mark.parametrize("name", write_settings.PAGES)
def test_every_knob_has_one_row(name):
    kind, _ = write_settings.PAGES[name]
    text = write_settings.page(name)
    for key in write_settings.knobs.fields(kind):
        assert text.count(f"\n| `{key}` | ") >= 1, key


def test_a_row_shows_what_may_be_given_and_when_it_is_read():
    text = write_settings.page("configuration.md")
    assert "| `norm` | `frozen` | `frozen`, `adaptsegnet`, `group` | BatchNorm as pretrained" in text
    assert "| `scale` | `1.0` | a number from 0.01 | " in text
    assert "| `poly_steps` | `null` | a whole number from 1 or `null` | " in text
