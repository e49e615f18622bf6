"""Running msda-tf in this process, as if it had been typed."""

import re

from msda_tf.cli.main import main


def exit_code(*arguments) -> int:
    """Of `msda-tf ARGUMENTS`."""
    try:
        main([*map(str, arguments)])
    except SystemExit as ended:
        return ended.code or 0
    return 0


def run(capsys, *arguments) -> tuple[int, str, str]:
    """(exit code, standard output, standard error without TensorFlow's log) of `msda-tf ARGUMENTS`."""
    code = exit_code(*arguments)
    captured = capsys.readouterr()
    return code, captured.out, "".join(line for line in captured.err.splitlines(True) if not re.match("[IWE]0", line))
