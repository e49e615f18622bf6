"""A folder that the process that starts work and its workers share: on a disk that all mount, or elsewhere."""

import os
import pathlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from msda_tf import files
from msda_tf.remote import filesystem
from msda_tf.remote.place import Place


@dataclass(frozen=True)
class Here:
    """A folder `path` of a disk that all mount; files appear in it whole or not at all."""

    path: pathlib.Path

    def make(self) -> None:
        """Makes the folder, without what was in it."""
        self.remove()
        self.path.mkdir(parents=True)

    def names(self) -> list[str]:
        """Of its files."""
        return os.listdir(self.path)

    def exists(self, name: str) -> bool:
        """Whether it has a file of this name."""
        return (self.path / name).exists()

    def read(self, name: str, start: int = 0, length: int = -1) -> bytes:
        """A part of a file."""
        with open(self.path / name, "rb") as file:
            file.seek(start)
            return file.read(length)

    def write(self, name: str, data: bytes) -> None:
        """Writes a file."""
        with files.replacing(self.path / name) as temporary:
            temporary.write_bytes(data)

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


@dataclass(frozen=True)
class There:
    """A folder of another file system, `url`; methods as those of `Here`."""

    url: str

    def make(self) -> None:
        """Makes the folder, without what was in it."""
        self.remove()

    def names(self) -> list[str]:
        """Of its files."""
        return [name for name, _, _ in filesystem.listing(self.url)]

    def exists(self, name: str) -> bool:
        """Whether it has a file of this name."""
        return filesystem.exists(f"{self.url}/{name}")

    def read(self, name: str, start: int = 0, length: int = -1) -> bytes:
        """A part of a file."""
        return filesystem.read(f"{self.url}/{name}", start, length)

    def write(self, name: str, data: bytes) -> None:
        """Writes a file."""
        filesystem.write(f"{self.url}/{name}", data)

    def remove(self) -> None:
        """Removes the folder."""
        filesystem.remove_folder(self.url)


def shared(path: pathlib.Path, places: Sequence[Place]) -> Here | There:
    """The folder `path`, or what it stands for elsewhere."""
    for place in places:
        if path.is_relative_to(place.here):
            return There(place.url(path))
    return Here(path)
