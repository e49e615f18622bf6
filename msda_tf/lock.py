"""One process at a time on a folder that is written to.

The lock is the operating system's, so it ends with the process that holds it, however that ends. On file systems
without such locks (some network disks) a file that names its holder stands for it: on the holder's own machine a dead
one's file does not count; on another machine the message says which file may have to be removed.
"""

import contextlib
import errno
import os
import pathlib
import re
import socket
from collections.abc import Callable, Iterator

import filelock

from msda_tf.errors import MsdaError

FILE_NAME = ".lock"
"""In a folder while it is written; after a process was killed it stays there and means nothing."""

_NO_LOCKS_HERE = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


@contextlib.contextmanager
def hold(
    directory: str | os.PathLike,
    what: str,
    *,
    result: str | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Holds the lock of a folder, or of one result in it, without waiting for it unless asked to.

    Args:
      directory: the folder, made if it is not there; a second lock on it is refused to this process, too.
      what: which command holds it, such as "msda-tf prepare": whoever is refused reads it.
      result: name of a file in the folder that is written, where the folder's other files are nobody's business.
      on_wait: told who holds it; then it is waited for.

    Raises:
      MsdaError: another process holds it, or the folder cannot be written.

    Example:
      with lock.hold(run_directory, "msda-tf train"):
          ...
    """
    directory = pathlib.Path(directory)
    path = directory / (FILE_NAME if result is None else f".{result}{FILE_NAME}")
    held = path.with_name(f"{path.name}.held")
    try:
        try:
            lock = _acquire(path, held)
        except filelock.Timeout:
            if on_wait is None:
                raise
            on_wait(_holder(path))
            lock = _acquire(path, held, seconds=-1)
    except filelock.Timeout:
        raise MsdaError(_refusal(directory if result is None else directory / result, path, held)) from None
    except OSError as error:
        raise MsdaError(f"{directory} cannot be written ({error.strerror or error}): choose another folder") from None
    try:
        with contextlib.suppress(OSError):  # on a full disk the lock holds without its holder's name
            path.write_text(f"{what}, process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        # While the lock is held: whoever opened the file meanwhile sees that it is gone, and makes another.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _acquire(path: pathlib.Path, held: pathlib.Path, *, seconds: float = 0) -> filelock.BaseFileLock:
    """Waits so long; for ever if that is negative."""
    lock = filelock.FileLock(path, timeout=seconds, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        lock = filelock.SoftFileLock(held, timeout=seconds)
        lock.acquire()
    return lock


def _holder(path: pathlib.Path) -> str:
    try:
        with open(path, "rb") as file:
            note = re.match(rb"[\x20-\x7e]+", file.read(200))
        return note[0].decode()
    except (OSError, TypeError):
        return "another process"


def _refusal(written: pathlib.Path, path: pathlib.Path, held: pathlib.Path) -> str:
    message = f"{written} is being written by {_holder(path)}: wait for it to end, or choose another place"
    return f"{message}; if there is no such process, remove {held}" if held.exists() else message
