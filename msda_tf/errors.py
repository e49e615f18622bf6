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

    Errors inside a `tf.function` begin with a heading, "in user code:" or "Graph execution error:", and lines of code;
    the message comes last, but for the node's name.
    """
    lines, kind = [line.strip() for line in str(error).splitlines() if line.strip()] or [""], type(error).__name__
    message = lines[0]
    if message.endswith(":"):
        message = [line for line in lines if not line.startswith("[[{{node")][-1]
    return f"{kind}: {message.removeprefix(f'{kind}: ')}"
