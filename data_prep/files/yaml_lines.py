"""YAML files whose every value knows its line, so that a mistake can be pointed at."""

import pathlib
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from msda_tf.errors import UsageError


@dataclass(frozen=True)
class Node:
    """A value of a YAML file.

    Attributes:
      value: text, number, boolean or None; list of nodes; or dictionary from text to nodes.
      file, line: where it is written.
      key: how to get there, as in `splits.train.images`.
    """

    value: Any
    file: pathlib.Path
    line: int
    key: str

    def fail(self, problem: str) -> NoReturn:
        """Raises UsageError that points at this value."""
        raise UsageError(f"{self.file}:{self.line}: {self.key}{': ' if self.key else ''}{problem}")

    def mapping(self) -> dict[str, "Node"]:
        """The value, which must be a mapping."""
        if not isinstance(self.value, dict):
            self.fail(f"a mapping of keys to values is expected, not {self._shown()}")
        return self.value

    def fields(self, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, "Node"]:
        """The value, which must be a mapping with these keys and no others."""
        found = self.mapping()
        for key, node in found.items():
            if key not in required + optional:
                node.fail(f"there is no such key; known here are {', '.join(required + optional)}")
        for key in required:
            if key not in found:
                self.fail(f"the key {key} is missing")
        return found

    def sequence(self) -> list["Node"]:
        """The value, which must be a list."""
        if not isinstance(self.value, list):
            self.fail(f"a list is expected, not {self._shown()}")
        return self.value

    def text(self) -> str:
        """The value, which must be text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            self.fail(f"text is expected, not {self._shown()}" + (": put it in quotes" if self.value else ""))
        return self.value

    def integer(self, low: int, high: int) -> int:
        """The value, which must be a whole number of `low` to `high`."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            self.fail(f"a whole number of {low} to {high} is expected, not {self._shown()}")
        return self.value

    def _shown(self) -> str:
        kinds = {dict: "a mapping", list: "a list", type(None): "nothing"}
        return kinds.get(type(self.value)) or repr(self.value)


def load(path: pathlib.Path) -> Node:
    """Reads a YAML file.

    Raises:
      UsageError: it cannot be read, is no YAML, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise UsageError(f"{path} is empty")
        return _node(root, loader, path, "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # Patterns of paths begin with what means a reference in YAML.
        hint = ": put a text that begins with * in quotes" if "alias" in f"{error.context} {error.problem}" else ""
        raise UsageError(f"{path}:{mark.line + 1 if mark else 1}: no YAML: {error.problem}{hint}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: no YAML: {str(error).splitlines()[0]}") from None
    finally:
        loader.dispose()


def _node(node: yaml.Node, loader: yaml.SafeLoader, path: pathlib.Path, key: str) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        items = [_node(item, loader, path, f"{key}[{index}]") for index, item in enumerate(node.value)]
        return Node(items, path, line, key)
    if not isinstance(node, yaml.MappingNode):
        try:
            return Node(loader.construct_object(node), path, line, key)
        except ValueError as error:  # something like a date, but not one
            Node(None, path, line, key).fail(f"no YAML: {error}: put it in quotes")
    found: dict[str, Node] = {}
    for name_node, value in node.value:
        name = str(loader.construct_object(name_node))
        inner = f"{key}.{name}" if key else name
        at = Node(None, path, name_node.start_mark.line + 1, inner)
        if name in found:
            at.fail(f"is there twice, first in line {found[name].line}")
        below = _node(value, loader, path, inner)
        # A mistake in a value as a whole is looked for beside its key.
        found[name] = Node(below.value, path, at.line, inner)
    return Node(found, path, line, key)
