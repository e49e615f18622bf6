"""The YAML file that describes a data set: where its images and labels are, and what its labels mean.

docs/custom-data.md explains the keys; `data_prep/catalog/` holds the files of public data sets.
"""

import dataclasses
import pathlib
import re
from dataclasses import dataclass

from msda_tf import yaml_lines
from msda_tf.labels import ClassList
from msda_tf.yaml_lines import Node

from ..files.patterns import Pattern
from ..labels import class_config
from ..labels.class_config import ClassRules

ENCODINGS = ("ids", "palette", "rgb", "red", "polygons", "panoptic")

_LABEL_SUFFIXES = {"polygons": (".json",)}


@dataclass(frozen=True)
class Part:
    """Where the images of a split, or a part of them, are.

    Attributes:
      images, labels: patterns of paths, each with its node; as many labels as images, or none.
      split_by: numbers (from 0) of the wildcards whose values make splits of their own.
    """

    images: tuple[tuple[Node, Pattern], ...]
    labels: tuple[tuple[Node, Pattern], ...]
    split_by: tuple[int, ...] = ()

    def paths(self) -> str:
        """The first image pattern and its labels', for people."""
        image = self.images[0][1].text
        return f"{image} with {self.labels[0][1].text}" if self.labels else image


@dataclass(frozen=True)
class Mistake:
    """What is easily taken for the data set: files by which it is known, what they are, and what to do about it."""

    pattern: Pattern
    found: str
    instead: str


@dataclass(frozen=True)
class Download:
    """A file to fetch: its address, its checksum ("sha256:..." or "md5:...") if known, and the folder it belongs in."""

    url: str
    checksum: str | None
    into: str


@dataclass(frozen=True)
class About:
    """What people want to know of a data set before they have it; texts, empty where nothing is said.

    Attributes:
      what: the data set in a few words.
      images: how many.
      size: of the images, in pixels.
      licence: in a word.
      files: names of the files to take from its page, in words where they have none.
      get: what `msda-tf datasets get` fetches; empty where a form stands before the data.
      note: what may surprise.
    """

    what: str = ""
    images: str = ""
    size: str = ""
    licence: str = ""
    files: str = ""
    get: tuple[Download, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Description:
    """A data set's YAML file, read and checked as far as is possible without the data.

    Attributes:
      name: of the data set.
      download: where users get it.
      about: what people want to know of it.
      root: the file's content, for messages that point at a line.
      layouts: name -> split -> where it is. Of several, the one that is found is taken, and may lack splits; the only
        layout of a file with `splits` has no name, and must be whole.
      encoding: one of ENCODINGS.
      rules: which label value becomes which class.
      segments: of panoptic labels, the path below the raw folder of the JSON file that says what segments are.
      other_classes: name -> rules for another list of classes, which `--classes` asks for.
      training_split, evaluation_split: as given; None: to be chosen.
      not_this: what is easily taken for it.
      hint: added to the message about unknown label values.
    """

    name: str
    download: str
    about: About
    root: Node
    layouts: dict[str, dict[str, Part]]
    encoding: str
    rules: ClassRules
    segments: str
    other_classes: dict[str, ClassRules]
    training_split: str | None
    evaluation_split: str | None
    not_this: tuple[Mistake, ...]
    hint: str

    @property
    def whole(self) -> bool:
        """Whether each of its patterns must be found."""
        return list(self.layouts) == [""]

    def with_classes(self, name: str) -> "Description":
        """The same data set with the classes `name` of its `other_classes`."""
        return dataclasses.replace(self, rules=self.other_classes[name])


def read(path: pathlib.Path) -> Description:
    """Reads a data set's YAML file.

    Raises:
      UsageError: something is wrong with it; the message begins with file and line.
    """
    root = yaml_lines.load(path)
    fields = root.fields(
        required=("name", "classes"),
        optional=(
            *("splits", "layouts", "download", "about", "labels", "map", "ignore", "other_classes"),
            *("training_split", "evaluation_split", "not_this", "hint", "segments"),
        ),
    )
    if ("splits" in fields) == ("layouts" in fields):
        root.fail("either the key splits or the key layouts is needed, to say where images and labels are")
    encoding = fields["labels"].text() if "labels" in fields else "ids"
    if encoding not in ENCODINGS:
        fields["labels"].fail(f"labels are one of {', '.join(ENCODINGS)}, not {encoding}")
    if ("segments" in fields) != (encoding == "panoptic"):
        root.fail("the key segments names the JSON file of panoptic labels: these need it, and no others have it")
    layouts = {"": fields["splits"]} if "splits" in fields else fields["layouts"].mapping()
    described = {name: _read_layout(node, encoding) for name, node in layouts.items()}
    if not described:
        fields["layouts"].fail("at least one layout is needed")
    known = {split: part for layout in described.values() for split, part in layout.items()}
    for key in ("training_split", "evaluation_split"):
        if key in fields and fields[key].text() not in known:
            fields[key].fail(f"there is no split {fields[key].value!r}; there are {', '.join(known)}")
    if "evaluation_split" in fields and not known[fields["evaluation_split"].value].labels:
        fields["evaluation_split"].fail(f"split {fields['evaluation_split'].value!r} has no labels to evaluate on")
    name = fields["name"].text()
    if pathlib.PurePath(name).name != name or name.startswith("."):
        fields["name"].fail(f"{name!r} is no folder name: use letters, digits, - and _")
    return Description(
        name=name,
        download=fields["download"].text() if "download" in fields else "where you keep it",
        about=read_about(fields["about"]) if "about" in fields else About(),
        root=root,
        layouts=described,
        encoding=encoding,
        rules=_read_rules(fields, encoding),
        segments=_read_segments(fields["segments"]) if "segments" in fields else "",
        other_classes=_read_other_classes(fields, encoding),
        training_split=fields["training_split"].value if "training_split" in fields else None,
        evaluation_split=fields["evaluation_split"].value if "evaluation_split" in fields else None,
        not_this=tuple(_read_mistake(node) for node in fields["not_this"].sequence()) if "not_this" in fields else (),
        hint=fields["hint"].text() if "hint" in fields else "",
    )


def read_about(node: Node) -> About:
    """The key `about`. Raises UsageError."""
    texts = ("what", "images", "size", "licence", "files", "note")
    fields = node.fields(required=(), optional=(*texts, "get"))
    found = {key: fields[key].text() for key in texts if key in fields}
    get = tuple(_read_download(item) for item in fields["get"].sequence()) if "get" in fields else ()
    return About(**found, get=get)


def _read_download(node: Node) -> Download:
    fields = node.fields(required=("url",), optional=("sha256", "md5", "into"))
    sums = [f"{kind}:{fields[kind].text()}" for kind in ("sha256", "md5") if kind in fields]
    into = fields["into"].text() if "into" in fields else "."
    if into.startswith("/") or ".." in into.split("/"):
        fields["into"].fail(f"{into} leads out of the output folder")
    return Download(fields["url"].text(), sums[0] if sums else None, into)


def _read_segments(node: Node) -> str:
    path = node.text()
    if path.startswith("/") or ".." in path.split("/"):
        node.fail(f"{path} leads out of the raw folder: the path is relative to --raw")
    return path


def _read_mistake(node: Node) -> Mistake:
    fields = node.fields(required=("path", "found", "instead"))
    return Mistake(_pattern(fields["path"]), fields["found"].text(), fields["instead"].text())


def _pattern(at: Node, suffixes: tuple[str, ...] = ()) -> Pattern:
    try:
        return Pattern(at.text(), suffixes)
    except re.error as error:
        at.fail(f"{at.text()} is no pattern: {error.msg}")


def _read_rules(fields: dict[str, Node], encoding: str) -> ClassRules:
    if encoding == "rgb":
        return class_config.read_rules(fields, read_value=class_config.read_color, default=_own_colors)
    if encoding == "polygons":
        return class_config.read_rules(fields, read_value=Node.text, default=_own_names)
    return class_config.read_rules(fields, read_value=_read_id, default=_own_ids)


def _read_other_classes(fields: dict[str, Node], encoding: str) -> dict[str, ClassRules]:
    if "other_classes" not in fields:
        return {}
    lists = fields["other_classes"].mapping()
    keys = {name: node.fields(required=("classes", "map"), optional=("ignore",)) for name, node in lists.items()}
    return {name: _read_rules(inner, encoding) for name, inner in keys.items()}


def _read_id(node: Node) -> int:
    return node.integer(0, 65535)


def _own_ids(classes: ClassList) -> dict[int, int]:
    return {train_id: train_id for train_id in range(len(classes))}


def _own_colors(classes: ClassList) -> dict[tuple[int, int, int], int]:
    return {color: train_id for train_id, color in enumerate(classes.colors)}


def _own_names(classes: ClassList) -> dict[str, int]:
    return {name: train_id for train_id, name in enumerate(classes.names)}


def _read_layout(node: Node, encoding: str) -> dict[str, Part]:
    parts = {name: _read_part(at, encoding) for name, at in node.mapping().items()}
    if not parts:
        node.fail("at least one split is needed")
    for name in parts:
        if not name.replace("_", "").isalnum():
            node.mapping()[name].fail("a split's name consists of letters, digits and _")
    return parts


def _read_part(node: Node, encoding: str) -> Part:
    fields = node.fields(required=("images",), optional=("labels", "split_by"))
    images = _read_patterns(fields["images"])
    labels = _read_patterns(fields["labels"], _LABEL_SUFFIXES.get(encoding, ())) if "labels" in fields else []
    if labels and len(labels) != len(images):
        fields["labels"].fail(f"{len(labels)} patterns for {len(images)} patterns of images")
    for (_, image), (at, label) in zip(images, labels, strict=bool(labels)):
        if len(image.wildcards) != len(label.wildcards):
            at.fail(
                f"{label.text} has {len(label.wildcards)} wildcards, but {image.text} has {len(image.wildcards)}: "
                "each wildcard of the label's path is replaced by what that of the image's path stands for"
            )
    return Part(tuple(images), tuple(labels), _read_split_by(fields, images))


def _read_split_by(fields: dict[str, Node], images: list[tuple[Node, Pattern]]) -> tuple[int, ...]:
    if "split_by" not in fields:
        return ()
    node = fields["split_by"]
    nodes = node.value if isinstance(node.value, list) else [node]
    fewest = min(len(pattern.wildcards) for _, pattern in images)
    if not fewest:
        node.fail("the images' paths have no wildcard to split by")
    return tuple(at.integer(1, fewest) - 1 for at in nodes)


def _read_patterns(node: Node, suffixes: tuple[str, ...] = ()) -> list[tuple[Node, Pattern]]:
    nodes = node.value if isinstance(node.value, list) else [node]
    if not nodes:
        node.fail("at least one pattern is needed")
    patterns = [(at, _pattern(at, suffixes)) for at in nodes]
    for at, pattern in patterns:
        if pattern.text.startswith("/") or ".." in pattern.text.split("/"):
            at.fail(f"{pattern.text} leads out of the raw folder: paths are relative to --raw")
        if not pattern.names_files():
            named = " or ".join(suffix.removeprefix(".").upper() for suffix in suffixes) or "PNG or JPEG"
            at.fail(f"{pattern.text} names no {named} files")
    return patterns
