"""What all configurations share: frozen dataclasses of knobs, put together from layers and checked by name."""

import dataclasses
import difflib
import functools
import math
import pathlib
import types
import typing
from collections.abc import Callable
from dataclasses import field

from msda_tf import files, yaml_lines
from msda_tf.errors import UsageError

LARGEST = {int: 99_999_999, float: 1e6}
"""The largest number that a knob takes unless it says otherwise: beyond it, no machine gets to the end."""


def knob(
    default, reason: str, choices: tuple = (), minimum=None, maximum=None, only_for: dict[str, tuple] | None = None
):
    """A field of a configuration. Numbers are always finite.

    Args:
      default: its value where nothing else is given.
      reason: what it does, and why the default is what it is.
      choices: the values allowed; empty for any.
      minimum: the smallest number allowed; every number of a tuple must reach it.
      maximum: the largest one; `LARGEST` by default.
      only_for: other knob -> values of it beside which this one is read; beside others, giving it is an error.
    """
    metadata = {
        "reason": reason,
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "only_for": only_for or {},
    }
    return field(default=default, metadata=metadata)


@functools.cache
def fields(kind: type) -> dict[str, dataclasses.Field]:
    """The knobs of a configuration class, by name."""
    return {f.name: f for f in dataclasses.fields(kind)}


def resolve(
    kind: type,
    *,
    presets: dict[str, dict],
    preset: str,
    file=None,
    settings: dict | None = None,
    renamed: Callable[[dict, str], dict] = lambda layer, origin: layer,
    refuse_unread: bool = True,
):
    """Puts a configuration of class `kind` together: its defaults, a preset, a YAML file, settings.

    Args:
      kind: the class.
      presets: all of them, by name.
      preset: one of them.
      file: a YAML file.
      settings: what overrides all others.
      renamed: of a layer and its origin, gives the layer with keys of earlier versions under their present names.
      refuse_unread: whether a knob that is given but not read beside the others (`only_for`) is an error. A file may
        still repeat the value of the default or of a preset, as saved configurations do.

    Returns:
      (config, origins): the configuration, and for every key where its value came from: "default", "preset NAME", the
        file's path, or "command line".

    Raises:
      UsageError: an unknown preset or key, a value of the wrong type or out of range, a knob without effect, an
        unreadable file.
    """
    if preset not in presets:
        raise UsageError(f"unknown preset {preset!r}{nearest(preset, presets)}: one of {', '.join(presets)}")
    values, origins = {}, dict.fromkeys(fields(kind), "default")

    def override(layer: dict, origin: str):
        for key, value in layer.items():
            values[key] = _checked(kind, key, value, origin)
            origins[key] = origin

    override(presets[preset], f"preset {preset}")
    if file is not None:
        override(renamed(read_yaml(file), str(file)), str(file))
    override(renamed(settings or {}, "command line"), "command line")
    config = kind(**values)
    if refuse_unread:
        repeated = [{key: known.default for key, known in fields(kind).items()}, *presets.values()]
        for key, why in unread(config).items():
            saved = file is not None and origins[key] == str(file)
            if origins[key] == "command line" or (saved and values[key] not in [p.get(key) for p in repeated]):
                raise UsageError(f"{origins[key]}: {key} has no effect here: {why}; leave it out")
    return config, origins


def with_local_paths(config, origins: dict[str, str], keys: tuple[str, ...]):
    """The configuration with `~` at the beginning of these paths replaced by the home folder it stands for.

    Raises:
      UsageError: one is empty, or a URL where that is no folder of data, or names a home that does not exist; names the
        key.
    """
    changes = {}
    for key in keys:
        if key == "data" and files.is_url(getattr(config, key)):
            continue
        try:
            path = files.local_path(getattr(config, key))
        except UsageError as error:
            raise UsageError(f"{origins[key]}: {key}: {error}") from None
        if getattr(config, key).startswith("~"):
            changes[key] = str(path)
    return dataclasses.replace(config, **changes)


def unread(config) -> dict[str, str]:
    """The knobs that nothing reads beside the others, and for each the reason: "it is read with optimizer=sgd, ..."."""
    found = {}
    for key, known in fields(type(config)).items():
        for other, values in known.metadata["only_for"].items():
            if getattr(config, other) not in values:
                wanted = " or ".join(f"{other}={value}" for value in values)
                found[key] = f"it is read with {wanted}, and this is {other}={getattr(config, other)}"
    return found


def read_yaml(path: str | pathlib.Path) -> dict:
    """The mapping in a YAML file.

    Raises:
      UsageError: it cannot be read, is not YAML, or holds no mapping.
    """
    root = yaml_lines.load(path, may_be_empty=True)
    if not isinstance(root.value, dict):
        raise UsageError(f"{path}: expected lines of 'key: value', found {root.shown()}")
    return root.plain()


def from_saved(kind: type, value: dict, path: str | pathlib.Path):
    """The configuration of class `kind` that `to_dict` wrote to the file `path` (named in errors)."""
    return kind(**{key: _checked(kind, key, item, str(path)) for key, item in value.items()})


def refuse_edits(path: pathlib.Path, config, began, *, free: tuple[str, ...]) -> None:
    """Refuses a saved configuration that was edited: weights trained under one give other results under another.

    Args:
      path: of the configuration's file.
      config: what is in it.
      began: with which the weights were made.
      free: keys that may be edited.

    Raises:
      UsageError: names every key that differs, with both values.
    """
    old = to_dict(began)
    edited = [f"{k} (was {old[k]}, now {v})" for k, v in to_dict(config).items() if k not in free and v != old[k]]
    if edited:
        raise UsageError(
            f"{path} is not as the run was made: {'; '.join(edited)}; put it back, or train another run so"
        )


def to_dict(config) -> dict:
    """JSON- and YAML-ready values of every key."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(config).items()
    }


def nearest(word: str, known) -> str:
    """ " (did you mean 'x'?)" if a known word is close, or nothing."""
    close = difflib.get_close_matches(word, map(str, known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


_types = functools.cache(typing.get_type_hints)
"""Of a configuration class: looked up once, not once for each of its forty keys."""


def _checked(kind: type, key: str, value, origin: str):
    """`value` as the type of `key` in the configuration class `kind`."""
    known = fields(kind)
    if not isinstance(key, str):
        raise UsageError(f"{origin}: {key!r} is no key: --print-config lists all keys")
    if key not in known:
        raise UsageError(f"{origin}: unknown key {key!r}{nearest(key, known)}: --print-config lists all keys")
    expected = _types(kind)[key]
    value = converted(value, expected, f"{origin}: {key}")
    metadata = known[key].metadata
    if metadata["choices"] and value not in metadata["choices"]:
        near, choices = nearest(str(value), metadata["choices"]), ", ".join(map(str, metadata["choices"]))
        raise UsageError(f"{origin}: {key} is one of {choices}, not {_shown(value)}{near}")
    _check_range(value, metadata, f"{origin}: {key}")
    return value


def _check_range(value, metadata, named: str) -> None:
    """Refuses numbers below a knob's minimum or above its maximum; `named` begins the message."""
    numbers = value if isinstance(value, tuple) else (value,)
    minimum, maximum = metadata["minimum"], metadata["maximum"]
    if isinstance(value, tuple) and minimum is not None and (not value or min(value) < minimum):
        needed = "positive numbers" if minimum in (0, 1) else f"numbers of at least {minimum}"
        raise UsageError(f"{named} needs {needed}, not {_shown(list(value))}")
    for number in numbers:
        if type(number) not in LARGEST:
            continue
        if minimum is not None and number < minimum:
            raise UsageError(f"{named} must be at least {minimum}, not {_shown(number)}")
        most = LARGEST[type(number)] if maximum is None else maximum
        if number > most:
            raise UsageError(f"{named} must be at most {most}, not {_shown(number)}")


def converted(value, expected, name: str):
    """`value`, or the YAML in a text, as the type `expected`. Raises UsageError, which calls it `name`."""
    try:
        if isinstance(value, str) and expected is not str:
            node = yaml_lines.parse(value, name)
            value = None if node is None else node.plain()
        return _converted(value, expected)
    except (TypeError, ValueError, OverflowError, UsageError):
        raise UsageError(f"{name} expects {_describe(expected)}, not {_shown(value)}") from None


def _shown(value) -> str:
    """A value of any size, in a line."""
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    try:
        text = repr(value)
    except ValueError:  # a list of numbers too long to print
        return f"such a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _converted(value, kind):
    """`value` as `kind`; ValueError or TypeError if it is none."""
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = next(option for option in kind.__args__ if option is not type(None))
    if typing.get_origin(kind) is tuple:
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        item_kinds = typing.get_args(kind)
        fixed = None if item_kinds[-1] is Ellipsis else len(item_kinds)
        if isinstance(items, list | tuple) and fixed in (None, len(items)):
            return tuple(_converted(item, item_kinds[0]) for item in items)
    elif kind is float:
        # YAML reads 1e-4, without a point, as text.
        if isinstance(value, int | float | str) and not isinstance(value, bool) and math.isfinite(float(value)):
            return float(value)
    elif isinstance(value, kind) and (kind is bool) == isinstance(value, bool):
        return value
    raise ValueError


def _describe(kind) -> str:
    if isinstance(kind, types.UnionType):
        return " or ".join(_describe(option) for option in kind.__args__)
    if typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        names = {int: "whole numbers", str: "names"}
        return f"a list of {names[items[0]]}" if items[-1] is Ellipsis else f"[{', '.join(['number'] * len(items))}]"
    return {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", type(None): "null"}[
        kind
    ]
