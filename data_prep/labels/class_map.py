"""Class map files: other classes for a data set, so that sources with different class lists can train together."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from msda_tf import yaml_lines
from msda_tf.errors import UsageError
from msda_tf.image_files.headers import MAX_PIXELS, Header
from msda_tf.labels import IGNORE, ClassList
from msda_tf.yaml_lines import Node

from ..readers.frames import LabelReader, RawDataset, read_header
from . import class_config, named_lists
from .class_config import ClassRules


@dataclasses.dataclass(frozen=True)
class MappedLabels:
    """Labels of another reader, with their trainIds exchanged.

    Attributes:
      reader: what reads the files.
      table: uint8 `[256]`, its trainIds -> the new ones.
    """

    reader: LabelReader
    table: np.ndarray

    def read_header(self, path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Header:
        """As the other reader's."""
        return read_header(self.reader, path, max_pixels=max_pixels)

    def check(self, header: Header) -> None:
        """As the other reader's."""
        self.reader.check(header)

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> new trainIds, uint8 `[H, W]`. Raises BadFrame."""
        return cv2.LUT(self.reader.decode(data, max_pixels=max_pixels), self.table)


def apply(raw: RawDataset, path: pathlib.Path) -> RawDataset:
    """The data set with the classes of the class map file `path`.

    The file has `classes` (a list of name and color), `map` (new class -> names of the data set's classes), and
    `ignore` (names of further classes, or the word rest). An unlabelled data set only takes on the classes.

    Raises:
      UsageError: the file is wrong, or leaves out a class of the data set.
    """

    def name_of_class(node: Node) -> str:
        if raw.labels is not None and node.text() not in raw.classes.names:
            node.fail(f"{raw.kind} has no class {node.value!r}; it has {', '.join(raw.classes.names)}")
        return node.text()

    fields, rules = _read(path, name_of_class)
    left_out = _left_out(raw, rules)
    if left_out and not rules.rest_ignored:
        fields["map"].fail(f"{', '.join(left_out)} of {raw.kind} become no class: add them here or to ignore")
    return _mapped(raw, rules)


def apply_list(raw: RawDataset, name: str) -> RawDataset:
    """The data set with the classes of the list `name` (`named_lists`), which may be of other data sets, too.

    Raises:
      UsageError: a class of the data set has no place in the list.
    """
    _, rules = _read(named_lists.path(name), Node.text)
    if rules.classes == raw.classes:
        return raw
    if left_out := _left_out(raw, rules):
        raise UsageError(
            f"{', '.join(left_out)} of {raw.kind} belong to no class of {name}: say which class each becomes in a YAML"
            " file, and name it with --class-map"
        )
    mapped = _mapped(raw, rules)
    taught = {rules.train_ids[own] for own in raw.classes.names}
    absent = [each for index, each in enumerate(rules.classes.names) if index not in taught]
    notices = (f"{raw.kind} has no {', '.join(absent)}",) if absent and raw.labels is not None else ()
    return dataclasses.replace(mapped, notices=(*mapped.notices, *notices))


def fitting_lists(classes: Iterable[ClassList]) -> list[str]:
    """Names of the lists on which each class of all these lists has a place."""
    wanted = {name for each in classes for name in each.names}
    known = {name: _read(named_lists.path(name), Node.text)[1].train_ids for name in named_lists.names()}
    return [name for name, train_ids in known.items() if wanted <= set(train_ids)]


def _read(path: pathlib.Path, read_value: Callable[[Node], str]) -> tuple[dict[str, Node], ClassRules]:
    fields = yaml_lines.load(path).fields(required=("classes", "map"), optional=("ignore",))
    return fields, class_config.read_rules(fields, read_value=read_value, default=lambda _: {})


def _left_out(raw: RawDataset, rules: ClassRules) -> list[str]:
    return [name for name in raw.classes.names if name not in rules.train_ids] if raw.labels is not None else []


def _mapped(raw: RawDataset, rules: ClassRules) -> RawDataset:
    changed = dataclasses.replace(raw, classes=rules.classes, rules=raw.rules | {"class_map": rules.as_options()})
    if raw.labels is None:
        return changed
    table = np.full(256, IGNORE, np.uint8)
    for train_id, name in enumerate(raw.classes.names):
        table[train_id] = rules.train_ids.get(name, IGNORE)
    return dataclasses.replace(changed, labels=MappedLabels(raw.labels, table))
