"""Errors that end a command in one clear line instead of a traceback."""

import errno
import os
import re

from msda_tf.printable import printable


class MsdaError(Exception):
    """Something failed while working: damaged data, a full disk, a diverged loss (exit code 1).

    The message is one line that names the file or key, what was expected, and what to do. It may hold names of any
    kind: what would act on a terminal is escaped.
    """

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(MsdaError):
    """The command was asked for something it cannot do: a wrong option, folder or combination (exit code 2)."""

    exit_code = 2


def summary(error: Exception) -> str:
    """An unforeseen error in one line: its type and message.

    Errors inside a `tf.function` begin with a heading, "in user code:" or "Graph execution error:", and lines of code;
    the message comes last, but for the node's name.
    """
    lines, kind = [line.strip() for line in str(error).splitlines() if line.strip()] or [""], type(error).__name__
    message = lines[0]
    if message.endswith(":"):
        message = [line for line in lines if not line.startswith("[[{{node")][-1]
    return printable(f"{kind}: {message.removeprefix(f'{kind}: ')}")


def out_of_memory(message: str) -> str:
    """What TensorFlow says of memory that ran out, in a few words: which tensor had no room.

    Args:
      message: of its ResourceExhaustedError, which may begin with a graph's heading and lines of code.
    """
    found = re.search(
        r"OOM when allocating tensor with shape\[[\d,]*\] and type \w+|Out of memory [^\n]{0,100}", message
    )
    said = found[0] if found else (message.strip().splitlines() or ["no more is known"])[0][:120]
    return printable(f"out of memory ({said})")


_REMEDIES = {
    errno.ENOSPC: "free some space there, or name another place, and run the same command again",
    errno.EDQUOT: "free some space there, or name another place, and run the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or name another place",
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EROFS: "name another place",
    errno.EIO: "its disk or network share fails; name another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of this path is a file; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs, or raise the system's limit on open files",
}


def of_system(error: OSError) -> str:
    """What the operating system refused, in one line: the file, the system's words, and what to do."""
    named = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
    return reason(error) if named is None else printable(f"{named}: {reason(error)}")


def reason(error: Exception) -> str:
    """The system's words and what to do, without the file.

    TensorFlow has errors of its own, whose text holds the system's words between names of nodes and temporary files.
    """
    if isinstance(error, OSError):
        words, remedy = error.strerror or str(error) or type(error).__name__, _REMEDIES.get(error.errno)
    else:
        known = {os.strerror(number): remedy for number, remedy in _REMEDIES.items()}
        words = next((words for words in known if words in str(error)), summary(error))
        remedy = known.get(words)
    return printable(f"{words} ({remedy})" if remedy else words)
