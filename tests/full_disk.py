"""A disk that is full, without one: no file may grow beyond a size."""

import contextlib
import resource


@contextlib.contextmanager
def files_of_at_most(size: int):
    """In the block, writing beyond `size` bytes of a file fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
