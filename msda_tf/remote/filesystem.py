"""Files on the file systems that Apache Beam reaches: gs://, s3://, azfs://, hdfs:// and those of plugins.

They are known by their URLs. Errors of the many libraries behind Beam become ours, in a line that names the URL.
"""

import contextlib
import importlib
import importlib.util
import logging
import os
import pathlib
import posixpath
import re
import shutil
from collections.abc import Iterator, Sequence

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError

# Those of Beam that bring file systems.
_EXTRAS = {"gs": "gcp", "s3": "aws", "azfs": "azure", "hdfs": "hadoop"}

# Libraries that some of Beam's file systems miss only when they are used.
_LIBRARIES = {"s3": "boto3", "hdfs": "hdfs", "azfs": "azure.storage.blob"}

_COPIED_AT_ONCE = 2**20


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what Beam logs: warnings when it is imported without extras, tracebacks of what becomes errors of ours.

    Other threads log nothing meanwhile, either.
    """
    root = logging.getLogger()
    handlers, disabled = list(root.handlers), root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers


def connect(flags: Sequence[str] = ()) -> None:
    """Tells Beam's file systems of the options that were given (keys, endpoints); loads plugins that bring others.

    Raises:
      UsageError: a plugin cannot be loaded.
    """
    with quiet():
        options = importlib.import_module("apache_beam.options.pipeline_options")
        given = options.PipelineOptions(list(flags))
        for plugins in given.view_as(options.SetupOptions).beam_plugins or ():
            for plugin in plugins.split(","):
                try:
                    importlib.import_module(plugin)
                except ImportError as error:
                    raise UsageError(
                        f"--beam-option beam_plugins={plugin}: {first_line(error)}; expected a module that Python "
                        "finds, such as one in a folder that PYTHONPATH names"
                    ) from None
        _files().set_options(given)


def check_installed(url: str) -> None:
    """Raises UsageError, which names the URL, if Beam is not installed."""
    if importlib.util.find_spec("apache_beam") is None:
        raise UsageError(f"{url} is reached by Apache Beam, which is not installed: pip install 'msda-tf[beam]'")


def check(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
      UsageError: Beam is not installed, or has no file system for it here, or the name is none that a folder can have.
    """
    check_installed(url)
    if re.search(r"[*?\[\]]", url):
        raise UsageError(f"{url}: on other file systems *, ?, [ and ] are patterns; choose a name without them")
    scheme, _, path = url.partition("://")
    path = path.rstrip("/")
    if not _is_name(path):
        raise UsageError(f"{url} names no folder: expected a URL such as gs://bucket/folder, without .. or empty parts")
    scheme = scheme.lower()
    with quiet():
        _files()  # loads those that are installed
    base = importlib.import_module("apache_beam.io.filesystem").FileSystem
    known = {system.scheme() for system in _all_systems(base)} - {None}
    known -= {name for name, library in _LIBRARIES.items() if not _is_installed(library)}
    if scheme not in known:
        extra = f": pip install 'apache-beam[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else ""
        others = f", only {', '.join(f'{name}://' for name in sorted(known))}" if known else ""
        raise UsageError(f"{url} cannot be reached: Beam has no {scheme}:// here{others}{extra}")
    try:
        _files().get_filesystem(url)
    except Exception as error:  # as hdfs:// without its host
        raise UsageError(f"{url} cannot be reached: {first_line(error)}; give it as --beam-option KEY=VALUE") from None
    return f"{url.partition('://')[0]}://{path}"


def _is_installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False


def _all_systems(system: type) -> Iterator[type]:
    """The file systems that are loaded."""
    for each in system.__subclasses__():
        yield each
        yield from _all_systems(each)


def _is_name(path: str) -> bool:
    """Whether a path of an object store can be one below a folder of this machine."""
    return not {"", ".", ".."} & set(path.split("/")) and "\0" not in path


def listing(url: str) -> Iterator[tuple[str, int, float]]:
    """(name with sub-folders, bytes, seconds since 1970 when it was changed) of every file below a folder.

    Raises:
      MsdaError: it cannot be read, or holds names that no file here can have.
    """
    try:
        found = list(_below(url) if _files().get_filesystem(url).has_dirs() else _match(f"{url}/**"))
    except Exception as error:
        raise MsdaError(f"{url} cannot be read: {first_line(error)}") from None
    for each in found:
        name = each.path[len(url) + 1 :]
        if not name or name.endswith("/"):
            continue  # what stands for a folder in stores that have none
        if not _is_name(name):
            raise MsdaError(f"{url} holds a file {name!r}, a name that none can have here: take it away")
        yield name, each.size_in_bytes, each.last_updated_in_seconds


def _match(pattern: str) -> list:
    (found,) = _files().match([pattern])
    return found.metadata_list


def _below(url: str) -> Iterator:
    """Files where there are folders, of which Beam lists one at a time. It does not tell which entries are folders:
    those without bytes are, if they can be listed."""
    waiting = [url] if _files().exists(url) else []
    while waiting:
        folder = waiting.pop()
        for each in _match(f"{folder}/*"):
            if each.size_in_bytes or not _is_folder(each.path):
                yield each
            else:
                waiting.append(each.path)


def _is_folder(url: str) -> bool:
    try:
        _match(f"{url}/*")
    except Exception:  # each file system has its own for a file that is no folder
        return False
    return True


def bring(url: str, path: pathlib.Path, *, on_bytes=lambda data: None) -> None:
    """Copies a file to `path`, which appears whole or not at all.

    Args:
      url: of the file.
      path: where to; its folder is there.
      on_bytes: given the content, piece by piece.

    Raises:
      MsdaError: it cannot be read or written.
    """
    with files.replacing(path) as temporary, open(temporary, "wb") as ours, _reading(url) as theirs:
        while data := _told(url, theirs.read, _COPIED_AT_ONCE):
            ours.write(data)
            on_bytes(data)


def send(path: pathlib.Path, url: str) -> None:
    """Copies the file `path` to there; it appears whole or not at all.

    Raises:
      FileNotFoundError: there is no such file here.
      MsdaError: it cannot be written.
    """
    with open(path, "rb") as ours, _writing(url), _replacing(url) as theirs:
        shutil.copyfileobj(ours, theirs, _COPIED_AT_ONCE)


def read(url: str, start: int = 0, length: int = -1) -> bytes:
    """A part of the content of a file."""
    with _reading(url) as file:
        file.seek(start)
        return _told(url, file.read, length) if length >= 0 else _told(url, file.read)


def write(url: str, data: bytes) -> None:
    """Writes a file, which appears whole or not at all."""
    with _writing(url), _replacing(url) as file:
        file.write(data)


def exists(url: str) -> bool:
    """Whether there is a file of this name."""
    try:
        return _files().exists(url)
    except Exception as error:
        raise MsdaError(f"{url} cannot be read: {first_line(error)}") from None


def size(url: str) -> int:
    """Of a file, in bytes."""
    found = _told(url, _match, url)
    if not found:
        raise MsdaError(f"{url} is not there")
    return found[0].size_in_bytes


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
def _reading(url: str):
    with contextlib.closing(_told(url, _files().open, url, compression_type=_plain())) as file:
        yield file


def _told(url: str, action, *arguments, **options):
    try:
        return action(*arguments, **options)
    except Exception as error:
        raise MsdaError(f"{url} cannot be read: {first_line(error)}") from None


@contextlib.contextmanager
def _writing(url: str):
    try:
        yield
    except MsdaError:
        raise
    except Exception as error:
        raise MsdaError(f"{url} cannot be written: {first_line(error)}") from None


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
        with contextlib.suppress(Exception):
            remove(temporary)
        raise


def _files():
    return importlib.import_module("apache_beam.io.filesystems").FileSystems


def _plain() -> str:
    """Files as they are, whatever their names end in."""
    return importlib.import_module("apache_beam.io.filesystem").CompressionTypes.UNCOMPRESSED


def first_line(error: Exception) -> str:
    """What an error says, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
