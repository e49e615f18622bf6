"""The data sets that `msda-tf` knows by name: one YAML file of this folder each.

Most files describe a data set whole (`readers.description`). Those of data sets with a reader of their own name the
reader and say only what people want to know beforehand.
"""

import pathlib
from dataclasses import dataclass

FOLDER = pathlib.Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of a data set.

    Attributes:
      name: of the data set.
      download: the page it is got from.
      about: `readers.description.About`.
      layouts: the paths that `prepare` expects for the first split, a line for each layout.
      classes: how many of its classes have label values, as text.
      other_classes: lists of classes that it has label values for, too.
      description: `readers.description.Description`; None if it has a reader of its own.
    """

    name: str
    download: str
    about: object
    layouts: tuple[str, ...]
    classes: str
    other_classes: tuple[str, ...]
    description: object | None


def names() -> list[str]:
    """Names of the data sets, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path(name: str) -> pathlib.Path:
    """The file of a data set."""
    return FOLDER / f"{name}.yaml"


def entry(name: str) -> Entry:
    """Reads a data set's file. Raises UsageError if something is wrong with it."""
    from msda_tf import yaml_lines

    from ..readers import description as descriptions

    root = yaml_lines.load(path(name))
    if "reader" in root.mapping():
        fields = root.fields(required=("name", "reader", "download", "layouts", "classes", "about"))
        return Entry(
            name=name,
            download=fields["download"].text(),
            about=descriptions.read_about(fields["about"]),
            layouts=tuple(line.text() for line in fields["layouts"].sequence()),
            classes=fields["classes"].text(),
            other_classes=(),
            description=None,
        )
    described = descriptions.read(path(name))
    mapped = len(
        {train_id for train_id in described.rules.train_ids.values() if train_id < len(described.rules.classes)}
    )
    total = len(described.rules.classes)
    return Entry(
        name=name,
        download=described.download,
        about=described.about,
        layouts=tuple(next(iter(layout.values())).paths() for layout in described.layouts.values()),
        classes=f"{total}" if mapped == total else f"{mapped} of {total}",
        other_classes=tuple(described.other_classes),
        description=described,
    )
