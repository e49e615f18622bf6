"""Paths as TensorFlow takes them.

TensorFlow reads checkpoints by a pattern: in a folder called `lr=[1e-4]` it writes them and then does not find them.
Names that are not UTF-8 it does not take at all.
"""

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator


def is_literal(path: str | os.PathLike) -> bool:
    """Whether TensorFlow takes a path for what it says."""
    return re.fullmatch(r"[^*?\[\]\\\udc80-\udcff]*", str(path)) is not None


@contextlib.contextmanager
def literal(folder: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a path of a folder that TensorFlow takes literally: the folder itself, or a link to it for the while."""
    folder = pathlib.Path(folder)
    if is_literal(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="msda-tf-") as place:
        link = pathlib.Path(place) / "folder"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link
