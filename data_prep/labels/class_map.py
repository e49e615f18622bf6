"""Class map files: other classes for a data set, so that sources with different class lists can train together."""

import dataclasses
import pathlib

import cv2
import numpy as np

from msda_tf.image_files.headers import Header
from msda_tf.labels import IGNORE

from ..files import yaml_lines
from ..files.yaml_lines import Node
from ..readers.frames import LabelReader, RawDataset
from . import class_config


@dataclasses.dataclass(frozen=True)
class MappedLabels:
    """Labels of another reader, with their trainIds exchanged.

    Attributes:
      reader: what reads the files.
      table: uint8 `[256]`, its trainIds -> the new ones.
    """

    reader: LabelReader
    table: np.ndarray

    def check(self, header: Header) -> None:
        """As the other reader's."""
        self.reader.check(header)

    def decode(self, data: bytes) -> np.ndarray:
        """File content -> new trainIds, uint8 `[H, W]`. Raises BadFrame."""
        return cv2.LUT(self.reader.decode(data), self.table)


def apply(raw: RawDataset, path: pathlib.Path) -> RawDataset:
    """The data set with the classes of the class map file `path`.

    The file has `classes` (a list of name and color), `map` (new class -> names of the data set's classes), and
    `ignore` (names of further classes, or the word rest). An unlabelled data set only takes on the classes.

    Raises:
      UsageError: the file is wrong, or leaves out a class of the data set.
    """
    root = yaml_lines.load(path)
    fields = root.fields(required=("classes", "map"), optional=("ignore",))

    def name_of_class(node: Node) -> str:
        if raw.labels is not None and node.text() not in raw.classes.names:
            node.fail(f"{raw.kind} has no class {node.value!r}; it has {', '.join(raw.classes.names)}")
        return node.text()

    rules = class_config.read_rules(fields, read_value=name_of_class, default=lambda _: {})
    if raw.labels is None:
        return dataclasses.replace(raw, classes=rules.classes, rules=raw.rules | {"class_map": rules.as_options()})
    left_out = [name for name in raw.classes.names if name not in rules.train_ids]
    if left_out and not rules.rest_ignored:
        fields["map"].fail(f"{', '.join(left_out)} of {raw.kind} become no class: add them here or to ignore")
    table = np.full(256, IGNORE, np.uint8)
    for train_id, name in enumerate(raw.classes.names):
        table[train_id] = rules.train_ids.get(name, IGNORE)
    return dataclasses.replace(
        raw,
        classes=rules.classes,
        labels=MappedLabels(raw.labels, table),
        rules=raw.rules | {"class_map": rules.as_options()},
    )
