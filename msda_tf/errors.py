"""Errors that end a command in one clear line instead of a traceback."""


class MsdaError(Exception):
    """Something failed while working: damaged data, a full disk, a diverged loss (exit code 1).

    The message is one line that names the file or key, what was expected, and what to do.
    """

    exit_code = 1


class UsageError(MsdaError):
    """The command was asked for something it cannot do: a wrong option, folder or combination (exit code 2)."""

    exit_code = 2


def summary(error: Exception) -> str:
    """An unforeseen error in one line: its type and message.

    Errors inside a `tf.function` begin with "in user code:" and lines of code; type and message come last.
    """
    lines, kind = str(error).strip().splitlines() or [""], type(error).__name__
    message = lines[-1 if lines[0].startswith("in user code") else 0].strip()
    return f"{kind}: {message.removeprefix(f'{kind}: ')}"
