"""Folders on other file systems - gs://, s3://, azfs:// and whatever else Beam reaches - as folders of this machine.

A shadow shows the names, sizes and times of what lies there, and the content of a few files: what plans work, and what
looks whether it is done already, need no more. Workers bring the files that they read, and send those that they write.
"""

import contextlib
import importlib
import importlib.util
import os
import pathlib
import posixpath
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from msda_tf.errors import MsdaError, UsageError

# What lies in a shadow and is nobody's business there: the lock, and what is sent in other ways while workers work.
_OURS_ALONE = {".lock", ".beam"}


# Those of Beam that bring file systems.
_EXTRAS = {"gs": "gcp", "s3": "aws", "azfs": "azure"}


@dataclass(frozen=True)
class Place:
    """A folder elsewhere.

    Attributes:
      here: the folder of this machine that stands for it.
      there: its URL.
    """

    here: pathlib.Path
    there: str

    def url(self, path: pathlib.Path) -> str:
        """Of what the path `path`, below `here`, stands for."""
        relative = path.relative_to(self.here).as_posix()
        return self.there if relative == "." else f"{self.there}/{relative}"


def connect(flags: Sequence[str]) -> None:
    """Tells Beam's file systems of the options that were given (keys, endpoints); loads plugins that bring others."""
    options = importlib.import_module("apache_beam.options.pipeline_options")
    given = options.PipelineOptions(list(flags))
    for plugins in given.view_as(options.SetupOptions).beam_plugins or ():
        for plugin in plugins.split(","):
            importlib.import_module(plugin)
    _files().set_options(given)


def check(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
      UsageError: Beam has no file system for it here, it is one whose folders Beam does not list as a whole, or the
        name is a pattern.
    """
    if re.search(r"[*?\[\]]", url):
        raise UsageError(f"{url}: on other file systems *, ?, [ and ] are patterns; choose a name without them")
    scheme = url.partition("://")[0].lower()
    if scheme == "hdfs":
        raise UsageError(f"{url}: of HDFS Beam lists one folder at a time; mount it, and name a path")
    _files()  # loads those that are installed
    base = importlib.import_module("apache_beam.io.filesystem").FileSystem
    known = {system.scheme() for system in _all_systems(base)} - {None, "hdfs"}
    if scheme not in known:
        extra = f": pip install 'apache-beam[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else ""
        here = ", ".join(f"{name}://" for name in sorted(known)) or "none"
        raise UsageError(f"{url} cannot be reached: Beam has no {scheme}:// here, only {here}{extra}")
    if scheme == "s3" and importlib.util.find_spec("boto3") is None:
        raise UsageError(f"{url} cannot be reached without boto3: pip install 'apache-beam[aws]'")
    return url.rstrip("/")


def _all_systems(system: type) -> Iterator[type]:
    """The file systems that are loaded."""
    for each in system.__subclasses__():
        yield each
        yield from _all_systems(each)


@contextlib.contextmanager
def shadow(url: str, *, brought: Callable[[list[str]], Iterable[str]] = lambda names: ()) -> Iterator[Place]:
    """A folder that shows what lies at a URL, gone after the block.

    Args:
      url: of a folder.
      brought: of the files' names, with sub-folders, chooses those whose content is wanted, too.

    Raises:
      MsdaError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="msda-tf-") as root:
        place = Place(pathlib.Path(root).resolve() / (posixpath.basename(url) or "root"), url)
        place.here.mkdir()
        found = list(listing(url))
        whole = set(brought([name for name, _, _ in found]))
        for name, size, changed in found:
            path = place.here / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in whole:
                bring(place, path)
            else:
                path.touch()
                os.truncate(path, size)
            os.utime(path, (changed, changed))
        yield place


class Mirror:
    """A folder of results elsewhere: what is written to its shadow, but for what workers send themselves, is sent.

    Args:
      place: a shadow.
      sent_by_workers: tells of a file's name whether workers send it.
    """

    def __init__(self, place: Place, sent_by_workers: Callable[[str], bool]):
        self.place, self._by_workers, self._there = place, sent_by_workers, {}
        self._there = self._state()

    def sync(self, *, last: str | None = None) -> None:
        """Sends what is new here, and removes there what is gone here.

        Args:
          last: the file by which others know that all is there.
        """
        now = self._state()
        # What says that all is there goes first and comes last.
        for name in sorted(set(self._there) - set(now), key=lambda name: name != last):
            remove(self.place.url(self.place.here / name))
        for name in sorted(now, key=lambda name: name == last):
            if now[name] != self._there.get(name) and not self._by_workers(posixpath.basename(name)):
                send(self.place, self.place.here / name)
        self._there = now

    def receive(self, path: pathlib.Path, *, content: bool) -> None:
        """Lets the shadow show a file that a worker has sent, with or without its content."""
        if content:
            with contextlib.suppress(OSError):  # whoever needs it will miss it
                bring(self.place, path)
        else:
            for (found,) in (match.metadata_list for match in _files().match([self.place.url(path)])):
                path.touch()
                os.truncate(path, found.size_in_bytes)
        self._there = self._there | self._state([path])

    def _state(self, paths: Iterable[pathlib.Path] | None = None) -> dict[str, tuple[int, int]]:
        """Name -> (bytes, time of the last change) of files of the shadow."""
        found = self.place.here.rglob("*") if paths is None else paths
        stats = {path.relative_to(self.place.here): path.stat() for path in found if path.is_file()}
        return {
            name.as_posix(): (status.st_size, status.st_mtime_ns)
            for name, status in stats.items()
            if name.parts[0] not in _OURS_ALONE
        }


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
                bring(mine, found)
        return found

    def send(self, path: pathlib.Path) -> None:
        """Sends a file that was written where `path` said; elsewhere it is where it belongs."""
        for _, mine in self._mine():
            if path.is_relative_to(mine.here):
                send(mine, path)

    def words(self, text: str) -> str:
        """A text with URLs instead of paths of this worker."""
        for _, mine in self._mine():
            text = text.replace(str(mine.here), mine.there)
        return text


def listing(url: str) -> Iterator[tuple[str, int, float]]:
    """(name with sub-folders, bytes, seconds since 1970 when it was changed) of every file below a folder."""
    try:
        (found,) = _files().match([f"{url}/**"])
    except Exception as error:
        raise MsdaError(f"{url} cannot be read: {_first_line(error)}") from None
    for each in found.metadata_list:
        yield each.path[len(url) + 1 :], each.size_in_bytes, each.last_updated_in_seconds


def bring(place: Place, path: pathlib.Path) -> None:
    """Copies a file from there to `path`."""
    with _files().open(place.url(path), compression_type=_plain()) as theirs, open(path, "wb") as ours:
        shutil.copyfileobj(theirs, ours, 2**20)


def send(place: Place, path: pathlib.Path) -> None:
    """Copies the file `path` to there; it appears whole or not at all."""
    with open(path, "rb") as ours, _replacing(place.url(path)) as theirs:
        shutil.copyfileobj(ours, theirs, 2**20)


def read(url: str, start: int = 0, length: int = -1) -> bytes:
    """A part of the content of a file."""
    with _files().open(url, compression_type=_plain()) as file:
        file.seek(start)
        return file.read(length) if length >= 0 else file.read()


def write(url: str, data: bytes) -> None:
    """Writes a file, which appears whole or not at all."""
    with _replacing(url) as file:
        file.write(data)


def exists(url: str) -> bool:
    """Whether there is a file of this name."""
    return _files().exists(url)


def remove(url: str) -> None:
    """Removes a file, or a folder and all that is in it; nothing if there is none."""
    with contextlib.suppress(OSError):  # Beam's error of a file that is gone is one
        _files().delete([url])


def remove_folder(url: str) -> None:
    """Removes all files below a folder, and the folder where there is such a thing."""
    found = [f"{url}/{name}" for name, _, _ in listing(url)]
    if found:
        _files().delete(found)
    remove(url)


@contextlib.contextmanager
def _replacing(url: str):
    folder, name = posixpath.split(url)
    temporary = f"{folder}/.{name}.{int.from_bytes(os.urandom(5))}.part"
    with contextlib.suppress(OSError):
        _files().mkdirs(folder)  # it may be there
    try:
        with _files().create(temporary, compression_type=_plain()) as file:
            yield file
        remove(url)
        _files().rename([temporary], [url])
    except BaseException:
        remove(temporary)
        raise


def _files():
    return importlib.import_module("apache_beam.io.filesystems").FileSystems


def _plain() -> str:
    """Files as they are, whatever their names end in."""
    return importlib.import_module("apache_beam.io.filesystem").CompressionTypes.UNCOMPRESSED


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
