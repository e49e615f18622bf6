"""YAML files, read with a bound on what they may grow to; every value knows its line, for messages."""

import pathlib
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from msda_tf import files
from msda_tf.errors import UsageError

_MOST_BYTES = 2**18
_MOST_VALUES = 20_000
_DEEPEST = 50
_LONGEST_VALUE = 10_000
_MERGE = "tag:yaml.org,2002:merge"


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
            self.fail(f"a mapping of keys to values is expected, not {self.shown()}")
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
            self.fail(f"a list is expected, not {self.shown()}")
        return self.value

    def text(self) -> str:
        """The value, which must be text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            self.fail(f"text is expected, not {self.shown()}" + (": put it in quotes" if self.value else ""))
        return self.value

    def integer(self, low: int, high: int) -> int:
        """The value, which must be a whole number of `low` to `high`."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            self.fail(f"a whole number of {low} to {high} is expected, not {self.shown()}")
        return self.value

    def plain(self):
        """The value without lines: text, number, boolean, None, list or dictionary."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def shown(self) -> str:
        """The value in a few words, for messages."""
        kinds = {dict: "a mapping", list: "a list", type(None): "nothing"}
        if isinstance(self.value, int) and abs(self.value) >= 10**30:
            return "a number of more than 30 digits"
        text = kinds.get(type(self.value)) or repr(self.value)
        return text if len(text) <= 60 else f"{text[:57]}..."


def load(path: str | pathlib.Path, *, may_be_empty: bool = False) -> Node:
    """Reads a YAML file.

    Args:
      path: of the file.
      may_be_empty: whether a file that holds no value stands for a mapping without keys.

    Raises:
      UsageError: it cannot be read, is no regular file, is no YAML, has a key twice, or grows beyond any use.
    """
    path = pathlib.Path(path)
    try:
        data = files.read_bytes(path, at_most=_MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    root = parse(text, path)
    if root is None:
        if not may_be_empty:
            raise UsageError(f"{path} is empty")
        root = Node({}, path, 1, "")
    return root


def parse(text: str, source: str | pathlib.Path) -> Node | None:
    """The value that YAML text stands for; None if there is nothing but comments.

    Args:
      text: the YAML.
      source: where it is from, for messages.

    Raises:
      UsageError: as `load`.
    """
    try:
        _check_growth(text, source)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            return None if root is None else _node(root, loader, source, "")
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # Patterns of paths begin with what means a reference in YAML.
        hint = ": put a text that begins with * in quotes" if "alias" in f"{error.context} {error.problem}" else ""
        raise UsageError(f"{source}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}{hint}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{source}: not YAML: {str(error).splitlines()[0]}") from None


def _check_growth(text: str, source: str | pathlib.Path) -> None:
    """Raises UsageError if the values are many or deep: a few references to references make millions of few bytes.

    Looks at one event after the other, so that nothing of it is built before it is known to be small.
    """

    def refuse(event: yaml.Event, problem: str) -> NoReturn:
        raise UsageError(f"{source}:{event.start_mark.line + 1}: {problem}")

    weights: dict[str, int | None] = {}  # values below each anchor; None while it is being read
    opened: list[tuple[str | None, int]] = []  # anchor and weight of each collection around
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_event():
            event, weight = loader.get_event(), 0
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, 1))
                if event.anchor:
                    weights[event.anchor] = None
                if len(opened) > _DEEPEST:
                    refuse(event, f"more than {_DEEPEST} levels within one another")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, weight = opened.pop()
                if anchor:
                    weights[anchor] = weight
            elif isinstance(event, yaml.ScalarEvent):
                weight = 1
                if event.anchor:
                    weights[event.anchor] = 1
                if len(event.value) > _LONGEST_VALUE:
                    refuse(event, f"a value of more than {_LONGEST_VALUE} characters")
            elif isinstance(event, yaml.AliasEvent):
                weight = weights.get(event.anchor, 1)  # an unknown one is refused later
                if weight is None:
                    refuse(event, f"*{event.anchor} stands for a value that it is a part of")
            if opened and weight:
                anchor, sum_of_it = opened.pop()
                opened.append((anchor, sum_of_it + weight))
                if sum_of_it + weight > _MOST_VALUES:
                    refuse(event, f"more than {_MOST_VALUES} values")
    finally:
        loader.dispose()


def _node(node: yaml.Node, loader: yaml.SafeLoader, path: pathlib.Path, key: str) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        items = [_node(item, loader, path, f"{key}[{index}]") for index, item in enumerate(node.value)]
        return Node(items, path, line, key)
    if not isinstance(node, yaml.MappingNode):
        return Node(_scalar(node, loader, path, key), path, line, key)
    lines: dict[str, int] = {}
    for name_node, _ in node.value:
        if name_node.tag == _MERGE:
            continue
        name = _name(name_node, loader, path, key)
        if name in lines:
            inner = f"{key}.{name}" if key else name
            Node(None, path, name_node.start_mark.line + 1, inner).fail(f"is there twice, first in line {lines[name]}")
        lines[name] = name_node.start_mark.line + 1
    loader.flatten_mapping(node)  # <<: the keys of another mapping, which come first and which its own ones replace
    found: dict[str, Node] = {}
    for name_node, value in node.value:
        name = _name(name_node, loader, path, key)
        inner = f"{key}.{name}" if key else name
        below = _node(value, loader, path, inner)
        # A mistake in a value as a whole is looked for beside its key.
        found[name] = Node(below.value, path, name_node.start_mark.line + 1, inner)
    return Node(found, path, line, key)


def _name(node: yaml.Node, loader: yaml.SafeLoader, path: pathlib.Path, key: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        Node(None, path, node.start_mark.line + 1, key).fail("a key is expected to be a word")
    return str(_scalar(node, loader, path, key))


def _scalar(node: yaml.ScalarNode, loader: yaml.SafeLoader, path: pathlib.Path, key: str):
    try:
        return loader.construct_object(node)
    except yaml.YAMLError:
        raise
    except Exception as error:  # something like a date or a number, but not one
        reason = str(error) if isinstance(error, ValueError) else f"{node.value!r} is no {node.tag.rpartition(':')[2]}"
        Node(None, path, node.start_mark.line + 1, key).fail(f"not YAML: {reason}: put it in quotes")
