"""Any data set, described in a YAML file: where its images and labels are, and what its labels mean.

docs/custom-data.md explains the keys; examples/datasets/ holds files for some public data sets.
"""

import pathlib
from dataclasses import dataclass

from msda_tf.data.writing.notes import Rejected
from msda_tf.errors import UsageError
from msda_tf.labels import ClassList

from ..files import listing, yaml_lines
from ..files.patterns import Pattern
from ..files.yaml_lines import Node
from ..labels import class_config
from ..labels.class_config import ClassRules
from ..labels.color_labels import ColorLabels
from ..labels.label_images import IdLabels
from .frames import Frame, LabelReader, Part, RawDataset

ENCODINGS = ("ids", "palette", "rgb")


@dataclass(frozen=True)
class Description:
    """A data set's YAML file, read and checked as far as is possible without the data.

    Attributes:
      name: of the data set.
      download: where users get it.
      root: the file's content, for messages that point at a line.
      splits: name -> (image patterns, label patterns or none), each with its node.
      encoding: one of ENCODINGS.
      rules: which label value becomes which class.
      training_split, evaluation_split: as given; None: to be chosen.
    """

    name: str
    download: str
    root: Node
    splits: dict[str, tuple[list[tuple[Node, Pattern]], list[tuple[Node, Pattern]]]]
    encoding: str
    rules: ClassRules
    training_split: str | None
    evaluation_split: str | None


def read(path: pathlib.Path) -> Description:
    """Reads a data set's YAML file.

    Raises:
      UsageError: something is wrong with it; the message begins with file and line.
    """
    root = yaml_lines.load(path)
    fields = root.fields(
        required=("name", "splits", "classes"),
        optional=("download", "labels", "map", "ignore", "training_split", "evaluation_split"),
    )
    encoding = fields["labels"].text() if "labels" in fields else "ids"
    if encoding not in ENCODINGS:
        fields["labels"].fail(f"labels are one of {', '.join(ENCODINGS)}, not {encoding}")
    if encoding == "rgb":
        read_value, default = class_config.read_color, _own_colors
    else:
        read_value, default = _read_id, _own_ids
    splits = {name: _read_split(node) for name, node in fields["splits"].mapping().items()}
    if not splits:
        fields["splits"].fail("at least one split is needed")
    for name in splits:
        if not name.replace("_", "").isalnum():
            fields["splits"].mapping()[name].fail("a split's name consists of letters, digits and _")
    for key in ("training_split", "evaluation_split"):
        if key in fields and fields[key].text() not in splits:
            fields[key].fail(f"there is no split {fields[key].value!r}; there are {', '.join(splits)}")
    if "evaluation_split" in fields and not splits[fields["evaluation_split"].value][1]:
        fields["evaluation_split"].fail(f"split {fields['evaluation_split'].value!r} has no labels to evaluate on")
    name = fields["name"].text()
    if pathlib.PurePath(name).name != name or name.startswith("."):
        fields["name"].fail(f"{name!r} is no folder name: use letters, digits, - and _")
    return Description(
        name=name,
        download=fields["download"].text() if "download" in fields else "where you keep it",
        root=root,
        splits=splits,
        encoding=encoding,
        rules=class_config.read_rules(fields, read_value=read_value, default=default),
        training_split=fields["training_split"].value if "training_split" in fields else None,
        evaluation_split=fields["evaluation_split"].value if "evaluation_split" in fields else None,
    )


def _read_id(node: Node) -> int:
    return node.integer(0, 65535)


def _own_ids(classes: ClassList) -> dict[int, int]:
    return {train_id: train_id for train_id in range(len(classes))}


def _own_colors(classes: ClassList) -> dict[tuple[int, int, int], int]:
    return {color: train_id for train_id, color in enumerate(classes.colors)}


def _read_split(node: Node) -> tuple[list[tuple[Node, Pattern]], list[tuple[Node, Pattern]]]:
    fields = node.fields(required=("images",), optional=("labels",))
    images = _read_patterns(fields["images"])
    labels = _read_patterns(fields["labels"]) if "labels" in fields else []
    if labels and len(labels) != len(images):
        fields["labels"].fail(f"{len(labels)} patterns for {len(images)} patterns of images")
    for (_, image), (at, label) in zip(images, labels, strict=bool(labels)):
        if len(image.wildcards) != len(label.wildcards):
            at.fail(
                f"{label.text} has {len(label.wildcards)} wildcards, but {image.text} has {len(image.wildcards)}: "
                "each wildcard of the label's path is replaced by what that of the image's path stands for"
            )
    return images, labels


def _read_patterns(node: Node) -> list[tuple[Node, Pattern]]:
    nodes = node.value if isinstance(node.value, list) else [node]
    if not nodes:
        node.fail("at least one pattern is needed")
    patterns = [(at, Pattern(at.text())) for at in nodes]
    for at, pattern in patterns:
        if pattern.text.startswith("/") or ".." in pattern.text.split("/"):
            at.fail(f"{pattern.text} leads out of the raw folder: paths are relative to --raw")
        if not pattern.names_images():
            at.fail(f"{pattern.text} names no PNG or JPEG files")
    return patterns


def find(root: pathlib.Path, description: Description) -> RawDataset:
    """Looks a raw folder through as described.

    Raises:
      UsageError: it is missing or empty, a pattern matches nothing, or two splits share an image.
    """
    patterns = [pattern.text for images, _ in description.splits.values() for _, pattern in images]
    listing.require_folder(root, " and ".join(patterns), description.download)
    parts, rejected = [], []
    split_of: dict[str, str] = {}
    for split, (images, labels) in description.splits.items():
        frames, bad = _find_split(root, images, labels)
        for frame in frames:
            if frame.name in split_of:
                at = images[0][0]
                at.fail(f"{frame.name} is in split {split_of[frame.name]} already")
            split_of[frame.name] = split
        parts.append(Part(split, tuple(frames), labelled=bool(labels)))
        rejected += bad
    with_labels = [part.name for part in parts if part.labelled]
    splits = [part.name for part in parts]
    training = description.training_split or ("train" if "train" in splits else splits[0])
    likely = [name for name in ("val", "test") if name in with_labels]
    evaluation = description.evaluation_split or next(iter([*likely, *with_labels[-1:]]), None)
    notices = []
    if evaluation is None:
        notices.append("no split has labels: the data set can be a target to train for, but not be evaluated on")
    elif evaluation == training:
        notices.append(f"there is no other labelled split: {training} is taken for training and evaluation")
    return RawDataset(
        kind="custom",
        root=root,
        classes=description.rules.classes,
        labels=_reader(description) if with_labels else None,
        parts=tuple(parts),
        splits={split: (split,) for split in splits},
        training_split=training,
        evaluation_split=evaluation,
        rules={
            "labels": description.encoding,
            "class_rules": description.rules.as_options(),
            "training_split": training,
            "evaluation_split": evaluation,
        },
        rejected=tuple(rejected),
        notices=tuple(notices),
    )


def _reader(description: Description) -> LabelReader:
    if description.encoding == "rgb":
        return ColorLabels(description.rules.train_ids, rest_ignored=description.rules.rest_ignored)
    table = class_config.id_table(description.rules)
    if description.encoding == "palette":
        return IdLabels(table, colors=("palette",))
    return IdLabels(table, colors=("grey",), bits=(8, 16))


def _find_split(
    root: pathlib.Path, images: list[tuple[Node, Pattern]], labels: list[tuple[Node, Pattern]]
) -> tuple[list[Frame], list[Rejected]]:
    frames, rejected = [], []
    for index, (at, pattern) in enumerate(images):
        found = pattern.files(root)
        if not found:
            raise UsageError(f"{at.file}:{at.line}: {at.key}: no image below {root} matches {pattern.text}")
        if not labels:
            good, bad = listing.unlabelled(found, root=root)
        else:
            label_pattern = labels[index][1]
            good, bad = listing.pair(
                found,
                label_pattern.files(root),
                root=root,
                key_of_image=lambda path, pattern=pattern, label_pattern=label_pattern: label_pattern.fill(
                    pattern.match(path.relative_to(root).as_posix())
                ),
                key_of_label=lambda path: path.relative_to(root).as_posix(),
            )
        frames += good
        rejected += bad
    return sorted(frames, key=lambda frame: frame.image), rejected
