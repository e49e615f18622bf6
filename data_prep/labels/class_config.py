"""The part of a YAML file that says which classes there are and what becomes which of them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import numpy as np

from msda_tf import yaml_lines
from msda_tf.labels import CITYSCAPES_CLASSES, IGNORE, ClassList
from msda_tf.yaml_lines import Node

from . import named_lists

Value = TypeVar("Value", bound=Hashable)

REST = "rest"


@dataclass(frozen=True)
class ClassRules:
    """Which value (id, colour or name) becomes which class.

    Attributes:
      classes: what there is.
      train_ids: value -> trainId, 255 for ignored ones.
      rest_ignored: whether every other value is ignored, too, rather than an error.
    """

    classes: ClassList
    train_ids: dict
    rest_ignored: bool

    def as_options(self) -> dict:
        """JSON-ready, for dataset.json and for telling whether two conversions agree."""
        return {
            "classes": [[name, *color] for name, color in zip(self.classes.names, self.classes.colors, strict=True)],
            "values": [[str(value), train_id] for value, train_id in self.train_ids.items()],
            "rest": "ignored" if self.rest_ignored else "unknown",
        }


def read_classes(node: Node) -> ClassList:
    """`classes: cityscapes`, the name of a list, or a list of `{name: ..., color: [red, green, blue]}`.

    Raises:
      UsageError: it is none of these.
    """
    if node.value == "cityscapes":
        return CITYSCAPES_CLASSES
    if isinstance(node.value, str):
        if node.value not in named_lists.names():
            known = ", ".join(["cityscapes", *named_lists.names()])
            node.fail(f"either the name of a list of classes ({known}) or such a list is expected, not {node.value!r}")
        return read_classes(yaml_lines.load(named_lists.path(node.value)).mapping()["classes"])
    names, colors = [], []
    for item in node.sequence():
        fields = item.fields(required=("name", "color"))
        name = fields["name"].text()
        if name in names:
            fields["name"].fail(f"the class {name!r} is there twice")
        names.append(name)
        colors.append(read_color(fields["color"]))
    if not 2 <= len(names) < IGNORE:
        node.fail(f"2 to {IGNORE - 1} classes are possible, not {len(names)}")
    return ClassList(tuple(names), tuple(colors))


def read_color(node: Node) -> tuple[int, int, int]:
    """`[red, green, blue]`. Raises UsageError."""
    channels = node.sequence()
    if len(channels) != 3:
        node.fail(f"a colour is [red, green, blue], not {len(channels)} numbers")
    return tuple(channel.integer(0, 255) for channel in channels)


def read_rules(
    fields: dict[str, Node], *, read_value: Callable[[Node], Value], default: Callable[[ClassList], dict[Value, int]]
) -> ClassRules:
    """The keys `classes`, `map` (class -> list of values) and `ignore` (list of values, or "rest").

    Args:
      read_value: reads one value; raises UsageError.
      default: what holds without `map`.

    Raises:
      UsageError: a class is unknown, a value is there twice, or one value means two classes.
    """
    classes = read_classes(fields["classes"])
    train_ids: dict[Value, int] = {}
    if "map" not in fields:
        train_ids |= default(classes)
        if 0 < len(train_ids) < len(classes):  # colours: the last of two classes would take the pixels of both
            _refuse_one_color(fields["classes"], classes)

    def add(node: Node, train_id: int) -> None:
        value = read_value(node)
        if value in train_ids:
            earlier = "ignored" if train_ids[value] == IGNORE else classes.names[train_ids[value]]
            node.fail(f"{value} is {earlier} already")
        train_ids[value] = train_id

    for name, values in fields["map"].mapping().items() if "map" in fields else ():
        if name not in classes.names:
            values.fail(f"there is no class {name!r}; there are {', '.join(classes.names)}")
        for node in values.sequence():
            add(node, classes.names.index(name))
    ignore = fields.get("ignore")
    if ignore is not None and ignore.value != REST:
        for node in ignore.sequence():
            add(node, IGNORE)
    return ClassRules(classes, train_ids, rest_ignored=ignore is not None and ignore.value == REST)


def _refuse_one_color(node: Node, classes: ClassList) -> NoReturn:
    first = {}
    for name, color in zip(classes.names, classes.colors, strict=True):
        if color in first:
            node.fail(
                f"{first[color]} and {name} are both {list(color)}, and without map a pixel's colour says its class: "
                "give one of them another colour, or say with map which colours mean which class"
            )
        first[color] = name
    raise AssertionError(classes)


def id_table(rules: ClassRules) -> np.ndarray:
    """int16 `[65536]`, id -> trainId, 255 = ignore, -1 = unknown; the rules' values are ids."""
    table = np.full(65536, IGNORE if rules.rest_ignored else -1, np.int16)
    for value, train_id in rules.train_ids.items():
        table[value] = train_id
    return table
