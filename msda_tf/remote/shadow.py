"""Folders elsewhere whose files are brought one by one, by workers, and whose names are enough for who plans the work.

A shadow shows the names, sizes and times of what lies there, and the content of a few files: what plans work, and what
looks whether it is done already, need no more. Workers bring the files that they read, and send those that they write.
"""

import contextlib
import os
import pathlib
import posixpath
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from msda_tf.remote import filesystem
from msda_tf.remote.place import Place


@contextlib.contextmanager
def shadow(
    url: str,
    *,
    brought: Callable[[list[str]], Iterable[str]] = lambda names: (),
    shown: Callable[[list[str]], Iterable[str]] = lambda names: names,
) -> Iterator[Place]:
    """A folder that shows what lies at a URL, gone after the block.

    Args:
      url: of a folder.
      brought: of the files' names, with sub-folders, chooses those whose content is wanted, too.
      shown: chooses those that are shown at all.

    Raises:
      MsdaError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="msda-tf-") as root:
        place = Place(pathlib.Path(root).resolve() / (posixpath.basename(url) or "root"), url)
        place.here.mkdir()
        found = list(filesystem.listing(url))
        names = [name for name, _, _ in found]
        seen, whole = set(shown(names)), set(brought(names))
        for name, size, changed in (each for each in found if each[0] in seen):
            path = place.here / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in whole:
                filesystem.bring(place.url(path), path)
            else:
                stand_in(path, size)
            os.utime(path, (changed, changed))
        yield place


def stand_in(path: pathlib.Path, size: int) -> None:
    """Makes a file of so many bytes that takes no room."""
    path.touch()
    os.truncate(path, size)


class Visit(contextlib.AbstractContextManager):
    """On a worker: files of shadows while a task lasts. Paths that no shadow has are what they are.

    Args:
      places: the shadows of whoever started the work.
    """

    def __init__(self, places: Sequence[Place]):
        self._places, self._root = tuple(places), None

    def __enter__(self):
        if self._places:
            self._root = pathlib.Path(tempfile.mkdtemp(prefix="msda-tf-"))
        return self

    def __exit__(self, *_):
        if self._root:
            shutil.rmtree(self._root, ignore_errors=True)

    def _mine(self) -> Iterator[tuple[Place, Place]]:
        """(the launcher's shadow, this worker's folder) of each place."""
        for number, place in enumerate(self._places):
            yield place, Place(self._root / str(number), place.there)

    def path(self, path: pathlib.Path) -> pathlib.Path:
        """Where a file of a shadow is while this lasts; its folder is made."""
        for theirs, mine in self._mine():
            if path.is_relative_to(theirs.here):
                found = mine.here / path.relative_to(theirs.here)
                found.parent.mkdir(parents=True, exist_ok=True)
                return found
        return path

    def bring(self, path: pathlib.Path) -> pathlib.Path:
        """As `path`, and the file is there."""
        found = self.path(path)
        for _, mine in self._mine():
            if found.is_relative_to(mine.here) and not found.exists():
                filesystem.bring(mine.url(found), found)
        return found

    def send(self, path: pathlib.Path) -> None:
        """Sends a file that was written where `path` said; elsewhere it is where it belongs."""
        for _, mine in self._mine():
            if path.is_relative_to(mine.here):
                filesystem.send(path, mine.url(path))

    def words(self, text: str) -> str:
        """A text with URLs instead of paths of this worker."""
        for _, mine in self._mine():
            text = mine.words(text)
        return text
