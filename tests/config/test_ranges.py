"""Numbers are finite and within what a machine can do, whichever knob they are for, or refused by name."""

import dataclasses
import types
import typing

import pytest

from msda_tf import config as configuration
from msda_tf.config import TrainConfig, knobs
from msda_tf.errors import UsageError
from msda_tf.stylize import config as stylize
from msda_tf.stylize.config import StylizeConfig
from msda_tf.training import checkpoint_files


def numeric(kind):
    """(knob, type of its numbers, how many numbers) of a configuration."""
    found = []
    for name, hint in typing.get_type_hints(kind).items():
        options = hint.__args__ if isinstance(hint, types.UnionType) else (hint,)
        for option in options:
            inner = typing.get_args(option) if typing.get_origin(option) is tuple else None
            if (inner[0] if inner else option) in (int, float):
                found.append((name, inner[0] if inner else option, len(inner) if inner else 0))
    return found


ABSURD = ["nan", ".nan", "inf", "-inf", ".inf", "-.inf", "1e999", "-1e999", "9" * 5000, "-1"]
ABSURD += [1e40, 10**40, -(10**40), 10**400, float("nan"), float("inf"), -1]


@pytest.mark.parametrize(("resolve", "kind"), [(configuration.resolve, TrainConfig), (stylize.resolve, StylizeConfig)])
def test_absurd_numbers_are_refused_by_name(resolve, kind):
    for name, _, count in numeric(kind):
        for value in ABSURD:
            many = f"[{', '.join([value] * count)}]" if isinstance(value, str) else [value] * count
            with pytest.raises(UsageError) as error:
                resolve(settings={name: many if count else value})
            message = str(error.value)
            assert f"command line: {name} " in message and "\n" not in message and len(message) < 300, (name, value)


@pytest.mark.parametrize("kind", [TrainConfig, StylizeConfig])
def test_every_number_has_a_range_that_holds_its_default(kind):
    for name, of, _ in numeric(kind):
        metadata = knobs.fields(kind)[name].metadata
        if metadata["choices"]:
            continue
        assert metadata["minimum"] is not None, name
        largest = metadata["maximum"] or knobs.LARGEST[of]
        default = getattr(kind(), name)
        values = default if isinstance(default, tuple) else [] if default is None else [default]
        assert all(metadata["minimum"] <= value <= largest for value in values), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generator_lr": "nan"}, "generator_lr expects a finite number, not 'nan'"),
        ({"steps": "1" + 40 * "0"}, "steps must be at most 99999999, not a number of more than 30 digits"),
        ({"batch_size": 10**9}, "batch_size must be at most 65536, not 1000000000"),
        ({"source_size": "[9999999, 9999999]"}, "source_size must be at most 32768, not 9999999"),
        ({"momentum": 1.5}, "momentum must be at most 1, not 1.5"),
        ({"seed": 2**32}, "seed must be at most 4294967295, not 4294967296"),
    ],
)
def test_the_message_says_what_is_allowed(settings, message):
    with pytest.raises(UsageError) as error:
        configuration.resolve(settings=settings)
    assert message in str(error.value)


def test_the_largest_steps_still_have_a_folder():
    assert knobs.LARGEST[int] == checkpoint_files.LAST_STEP


@pytest.mark.parametrize("text", ["1: 2\n", "? [a, b]\n: 3\n", "null: 3\n", "true: 3\n"])
def test_keys_that_are_no_names(tmp_path, text):
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(UsageError) as error:
        configuration.resolve(file=tmp_path / "f.yaml")
    assert str(tmp_path / "f.yaml") in str(error.value) and "\n" not in str(error.value)


def test_an_edited_configuration_names_what_was_edited(tmp_path):
    began = TrainConfig(target="a", sources=("b",))
    knobs.refuse_edits(tmp_path, dataclasses.replace(began, merge="max-probability"), began, free=("merge",))
    with pytest.raises(UsageError, match=r"not as the run was made: scale \(was 1.0, now 0.5\); put it back"):
        knobs.refuse_edits(tmp_path, dataclasses.replace(began, scale=0.5), began, free=("merge",))
