"""Lists of classes that have a name, such as idd-7: the files in `data_prep/catalog/classes/`."""

import pathlib

FOLDER = pathlib.Path(__file__).parents[1] / "catalog" / "classes"


def names() -> list[str]:
    """Their names, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path(name: str) -> pathlib.Path:
    """The file of a list: its `classes`, and in `map` the names that they have in other lists."""
    return FOLDER / f"{name}.yaml"
