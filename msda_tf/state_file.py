"""JSON files that a program left for a later one: read with a bound, and every value looked at before it is used.

    value = state_file.load(path)
    step = state_file.whole(value, "step")

Each function raises `Damaged` with the key and what was expected; whoever reads a file turns that into an error that
names the file and the remedy.
"""

import pathlib
import sys
from typing import Any

from msda_tf import files

LARGEST = 1 << 26
"""Bytes of such a file: the largest known, the metrics of many branches, have some hundred thousand."""


class Damaged(ValueError):
    """The file, or a value in it, is not what was expected."""


def load(path: pathlib.Path) -> dict:
    """The object in a file.

    Raises:
      FileNotFoundError: there is no such file.
      Damaged: it cannot be read, is too large, or holds something else.
    """
    try:
        value = files.read_json(path, at_most=LARGEST)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(error.strerror or str(error)) from None
    except ValueError as error:
        raise Damaged(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Damaged(f"expected keys and values, found {described(value)}")
    return value


def get(value: dict, key: str) -> Any:
    """The value of a key that must be there."""
    if key not in value:
        raise Damaged(f"{key} is missing")
    return value[key]


def whole(value: dict, key: str, *, largest: int = 1 << 53) -> int:
    """A whole number from 0 to `largest`."""
    found = get(value, key)
    if type(found) is not int or not 0 <= found <= largest:
        raise Damaged(f"{key}: expected a whole number from 0 to {largest}, found {described(found)}")
    return found


def number(value: dict, key: str) -> float:
    """A finite number."""
    return _number(get(value, key), key)


def numbers(value: dict, key: str, count: int) -> tuple[float, ...]:
    """So many finite numbers."""
    found = get(value, key)
    if not isinstance(found, list) or len(found) != count:
        raise Damaged(f"{key}: expected {count} numbers, found {described(found)}")
    return tuple(_number(each, key) for each in found)


def text(value: dict, key: str) -> str:
    """A text."""
    found = get(value, key)
    if not isinstance(found, str):
        raise Damaged(f"{key}: expected text, found {described(found)}")
    return found


def texts(value: dict, key: str) -> tuple[str, ...]:
    """A list of texts."""
    found = get(value, key)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Damaged(f"{key}: expected a list of names, found {described(found)}")
    return tuple(found)


def flag(value: dict, key: str) -> bool:
    """True or false."""
    found = get(value, key)
    if not isinstance(found, bool):
        raise Damaged(f"{key}: expected true or false, found {described(found)}")
    return found


def mapping(value: dict, key: str) -> dict:
    """Keys and values."""
    found = get(value, key)
    if not isinstance(found, dict):
        raise Damaged(f"{key}: expected keys and values, found {described(found)}")
    return found


def mappings(value: dict, key: str) -> list[dict]:
    """A list of keys and values."""
    found = get(value, key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Damaged(f"{key}: expected a list of keys and values, found {described(found)}")
    return found


def described(value) -> str:
    """A value of any kind and size, in a few words."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "keys and values"
    shown = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a number of more than 30 digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _number(found, key: str) -> float:
    if type(found) not in (int, float) or not abs(found) <= sys.float_info.max:
        raise Damaged(f"{key}: expected a number, found {described(found)}")
    return float(found)
