"""Scripts beside this file that need a process of their own, and print what they found as JSON after "RESULT "."""

import json
import pathlib
import subprocess
import sys


def result(script: str, *arguments):
    """What a script found."""
    here = pathlib.Path(__file__).parent
    done = subprocess.run([sys.executable, script, *map(str, arguments)], cwd=here, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert done.returncode == 0 and lines, done.stderr[-3000:]
    return json.loads(lines[0].removeprefix("RESULT "))
