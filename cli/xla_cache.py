"""What XLA has compiled, kept between runs: a network whose step was compiled once starts without it the next time.

TensorFlow keeps compiled functions in a folder if told so before it is loaded (TF_XLA_FLAGS), one file for each, and
takes one whose name fits the function. But it writes them in place, and stops at a file that is not whole. So every
process has a folder of its own, into which the known files are linked, and what is new in it is moved among them when
the process ends.

For CPUs alone: with a GPU's files nobody has tried it here. Code for one processor crashes on another, and the files
do not say for which they are: the folder's name does.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

from msda_tf import files
from msda_tf.packages import version
from msda_tf.remote import cache

from . import quiet

LARGEST = 2**30
"""Bytes that the files may take together, and that must be free on their disk."""

_ABANDONED = 7 * 24 * 3600
"""Seconds after which the folder of a process that was killed is removed."""


@contextlib.contextmanager
def kept(wanted: bool = True) -> Iterator[None]:
    """For the time of the block, in which TensorFlow is loaded, XLA looks for compiled functions and keeps them.

    Does nothing where users have chosen a folder by TF_XLA_FLAGS themselves, and where there is no room or no right to
    write: what is good to have is not worth an error.

    Args:
      wanted: whether anything will be compiled.
    """
    flags = os.environ.get("TF_XLA_FLAGS")
    # Without dashes it names a file of flags.
    if not wanted or (flags and (not flags.lstrip().startswith("-") or "persistent_cache" in flags)):
        yield
        return
    quiet.use_onednn()  # before the folder is named after what TensorFlow will be loaded with
    folder = cache.root() / "xla"
    # Without a home there is no such place.
    own = _begin(folder / _processor()) if folder.is_absolute() else None
    if own is None:
        yield
        return
    told = f'--tf_xla_persistent_cache_directory="{own}" --tf_xla_persistent_cache_device_types=CPU'
    os.environ["TF_XLA_FLAGS"] = f"{flags} {told}" if flags else told
    try:
        yield
    finally:
        if flags is None:
            del os.environ["TF_XLA_FLAGS"]
        else:
            os.environ["TF_XLA_FLAGS"] = flags
        with contextlib.suppress(OSError):
            _keep(own)
        shutil.rmtree(own, ignore_errors=True)
        _bound(folder)


def _processor() -> str:
    """A name for whatever compiled code depends on, beside the function."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = "\n".join(map(str, os.uname())) if hasattr(os, "uname") else ""
    # Of the first core: the others differ in their frequency.
    lines = [line for line in text.split("\n\n")[0].splitlines() if "MHz" not in line and "bogomips" not in line]
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_NUM_INTRAOP_THREADS", "TF_ENABLE_ONEDNN_OPTS")
    facts = [*lines, threads, version("tensorflow"), version("tensorflow-cpu"), *map(os.environ.get, names)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _begin(known: pathlib.Path) -> pathlib.Path | None:
    """A folder of this process, with links to the files in `known`; None if there is no place for it."""
    if any(character in '"\\' or character.isspace() and character != " " for character in str(known)):
        return None  # what reads the flags knows no other way to write them
    try:
        known.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(known)
        if shutil.disk_usage(known).free < LARGEST:
            return None
        own = pathlib.Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=known))
        for path in known.glob("*.pb"):
            digest, _, name = path.name.partition("-")
            if files.sha256(path)[:16] != digest:
                path.unlink(missing_ok=True)  # damaged: TensorFlow would stop at it
                continue
            os.link(path, own / name)
    except OSError:
        return None
    return own


def _keep(own: pathlib.Path) -> None:
    """Moves what is new in a process' folder among the known files."""
    known = own.parent
    there = {path.name.partition("-")[2] for path in known.glob("*.pb")}
    for path in own.glob("*.pb"):
        if path.name not in there:
            os.replace(path, known / f"{files.sha256(path)[:16]}-{path.name}")


def _remove_abandoned(known: pathlib.Path) -> None:
    for path in known.iterdir():
        if files.is_left_over(path) and path.stat().st_mtime < time.time() - _ABANDONED:
            shutil.rmtree(path, ignore_errors=True)


def _bound(folder: pathlib.Path) -> None:
    """Removes the oldest files of all processors until the rest has room."""
    with contextlib.suppress(OSError):
        found = sorted(folder.glob("*/*.pb"), key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for path in found:
            total += path.stat().st_size
            if total > LARGEST:
                path.unlink(missing_ok=True)
