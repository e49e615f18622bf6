"""Writing files so that a reader never sees half of one, and reading files of any content without blocking."""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from typing import BinaryIO

from msda_tf.errors import MsdaError, UsageError, reason

# Two letters at least, for one is a drive of Windows.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(text: str) -> bool:
    """Whether a path as a user writes it is a URL."""
    return _URL.match(text) is not None


def local_path(text: str) -> pathlib.Path:
    """A path as a user writes it; `~` and `~NAME` at its beginning are home folders.

    Raises:
      UsageError: it is empty, or no path of this machine's file system: a URL, a home that does not exist.
    """
    if not text:
        raise UsageError("an empty path: name a file or folder (is a variable of the shell not set?)")
    if "\0" in text:
        raise UsageError(f"{text}: a path cannot hold a NUL character")
    if is_url(text):
        raise UsageError(
            f"{text} is a URL: expected a path on this machine; copy the files here, or mount them, and name these"
        )
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise UsageError(
            f"{text}: there is no home folder of that name; for a file whose name begins with ~ write ./{text}"
        )
    return pathlib.Path(expanded)


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; renames it to `path` if the block succeeds, removes it otherwise.

    The file is flushed to disk before the rename, so that after a power cut `path` is either the old or the new one.

    Raises:
      MsdaError: the file cannot be written; the message names `path` and what to do.

    Example:
      with replacing("dataset.json") as temporary:
          temporary.write_text(text)
    """
    path = pathlib.Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # Writing to an open file gives an error without a name.
        if error.filename not in (None, str(temporary)):
            raise
        raise MsdaError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_place(path: str | os.PathLike) -> None:
    """Refuses, before work begins, a file whose folder is not there or cannot be written to.

    Raises:
      MsdaError: names the file and what to do.
    """
    path = pathlib.Path(path)
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {folder}; make it, or name another place")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MsdaError(f"{path} cannot be written: {folder} is read-only here; change that, or name another place")


def _beside(path: pathlib.Path) -> pathlib.Path:
    """A hidden name of this call in the same folder, for every name that the file system takes.

    Of this call: on a network disk, a process of the same number on another machine may write the same file.
    """
    number = secrets.randbelow(10**12)
    name = f".{path.name}.{number}.part"
    if len(os.fsencode(name)) > 255:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.{number}.part"
    return path.with_name(name)


def is_left_over(path: pathlib.Path) -> bool:
    """Whether a name is that of something half-written or half-removed: under a lock, of a killed process."""
    return re.fullmatch(r"\..+\.part", path.name, re.DOTALL) is not None


def remove_left_overs(directory: pathlib.Path) -> None:
    """Removes what killed processes left half-written in a folder, for the one process that may write there."""
    for path in list(directory.iterdir()) if directory.is_dir() else []:
        if is_left_over(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, value) -> None:
    """Writes `value` as indented JSON, atomically. Keys keep their order; NaN is refused (use None)."""
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a file for reading bytes.

    Raises:
      OSError: it cannot be opened, or is no regular file: a FIFO would block for ever, a device may have no end.
    """
    _require_regular(os.stat(path), path)
    # Should it have become a FIFO meanwhile, opening it does not block.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _require_regular(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require_regular(status: os.stat_result, path: str | os.PathLike) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file, but a pipe, socket or device", str(path))


def read_bytes(path: str | os.PathLike, *, at_most: int) -> bytes:
    """The content of a regular file.

    Raises:
      OSError: as `open_regular`, or it holds more than `at_most` bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= at_most else None
    if data is None or len(data) > at_most:  # longer, or growing
        raise OSError(errno.E2BIG, f"Longer than {at_most} bytes", str(path))
    return data


def read_json(path: str | os.PathLike, *, at_most: int = 2**26):
    """The value in a JSON file.

    Raises:
      OSError: as `read_bytes`.
      ValueError: it is not JSON, not UTF-8, has a key twice, or is nested deeper than anything that this project
        writes.
    """
    try:
        return json.loads(read_bytes(path, at_most=at_most), object_pairs_hook=_without_doubles)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_doubles(pairs: list[tuple]) -> dict:
    """An object of a JSON file, of which the last of two equal keys would win silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found
