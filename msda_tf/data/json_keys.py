"""Values of a JSON file that may have been edited: each is looked at before it is used, and named if it is wrong."""

import sys
from typing import Any


class Damaged(ValueError):
    """A value is missing or not what was expected; the message begins with its key, as in `splits.train.labelled`."""


class Keys:
    """A JSON object.

    Args:
      value: what stands there.
      key: how to get there; empty for the whole file.

    Raises:
      Damaged: it is no object. So do the methods, for a key that is missing or of another kind.
    """

    def __init__(self, value: Any, key: str = ""):
        self.key = key
        self._value = value if isinstance(value, dict) else _refuse(key or "the file", "keys and values", value)

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def __iter__(self):
        return iter(self._value)

    def at(self, name: str) -> str:
        """The key `name` as messages call it."""
        return f"{self.key}.{name}" if self.key else name

    def get(self, name: str) -> Any:
        """A value of any kind."""
        if name not in self._value:
            raise Damaged(f"{self.at(name)}: missing")
        return self._value[name]

    def text(self, name: str) -> str:
        """Text that is not empty."""
        found = self.get(name)
        return found if isinstance(found, str) and found else _refuse(self.at(name), "text", found)

    def whole(self, name: str, low: int = 0, high: int = 2**53) -> int:
        """A whole number of `low` to `high`."""
        return whole(self.get(name), self.at(name), low, high)

    def number(self, name: str, high: float) -> float:
        """A finite number of 0 to `high`."""
        return _number(self.get(name), self.at(name), high)

    def flag(self, name: str) -> bool:
        """True or false."""
        found = self.get(name)
        return found if isinstance(found, bool) else _refuse(self.at(name), "true or false", found)

    def sequence(self, name: str) -> list[tuple[str, Any]]:
        """The items of a list, each with its key."""
        found = self.get(name)
        if not isinstance(found, list):
            _refuse(self.at(name), "a list", found)
        return [(f"{self.at(name)}[{index}]", item) for index, item in enumerate(found)]

    def below(self, name: str) -> "Keys":
        """An object within this one."""
        return Keys(self.get(name), self.at(name))

    def color(self, name: str, high: float) -> tuple:
        """Three finite numbers of 0 to `high`; whole ones if `high` is."""
        items = self.sequence(name)
        if len(items) != 3:
            _refuse(self.at(name), "three numbers", self.get(name))
        return tuple(
            whole(item, key, 0, high) if isinstance(high, int) else _number(item, key, high) for key, item in items
        )


def whole(found: Any, key: str, low: int, high: int) -> int:
    """The value, if it is a whole number of `low` to `high`. Raises Damaged."""
    if type(found) is not int or not low <= found <= high:
        _refuse(key, f"a whole number of {low} to {high}", found)
    return found


def _number(found: Any, key: str, high: float) -> float:
    if type(found) not in (int, float) or not 0 <= found <= high:
        _refuse(key, f"a number of 0 to {high:g}", found)
    return float(found)


def _refuse(key: str, expected: str, found: Any):
    shown = {dict: "keys and values", list: "a list", type(None): "nothing"}.get(type(found))
    if shown is None:
        long = isinstance(found, int) and abs(found) > sys.maxsize
        shown = "a very large number" if long else repr(found)
    raise Damaged(f"{key}: expected {expected}, not {shown if len(shown) <= 60 else f'{shown[:57]}...'}")
