"""One process at a time on an output folder."""

import contextlib
import errno
import fcntl
import os
import pathlib
from collections.abc import Iterator

from msda_tf.errors import MsdaError

_NAME = ".prepare.lock"
_NO_LOCKS_HERE = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}


@contextlib.contextmanager
def hold(directory: pathlib.Path) -> Iterator[None]:
    """Holds the folder's lock; the system lets go of it when the process ends, however it ends.

    On a file system without locks, goes on without one.

    Raises:
      MsdaError: another process holds it.
    """
    path = directory / _NAME
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            raise MsdaError(
                f"{directory} is being written by another msda-tf prepare (process {holder}): wait for it to end, "
                "or choose another --name or --output"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                os.close(descriptor)
                raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        os.close(descriptor)  # its holder removed it between our opening and locking it
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
