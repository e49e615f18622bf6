"""`benchmarks/gpu.sh`: its commands are those that there are, for it is run where there is no time to mend it."""

import os
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks/gpu.sh"
PYTHON = """#!/bin/sh
case "$*" in
    "-m msda_tf train "*) exec {python} "$@" --print-config ;;
    "-m msda_tf prepare "*) exec {python} "$@" ;;
    benchmarks/*.py*) exec {python} -c "$PARSED" "$@" ;;
esac
"""
# A benchmark with all of its options, but what it does with them.
PARSED = """
import argparse, runpy, sys
parse = argparse.ArgumentParser.parse_args
argparse.ArgumentParser.parse_args = lambda self, *arguments: parse(self, *arguments) and sys.exit()
sys.argv = sys.argv[1:]
sys.path.insert(0, "benchmarks")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_every_part_runs_with_options_that_are_known(tmp_path):
    stand_in = tmp_path / "python"
    stand_in.write_text(PYTHON.format(python=sys.executable))
    stand_in.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(stand_in), "PARSED": PARSED, "HEIGHT": "32", "STEPS": "2"}
    command = ["bash", str(SCRIPT), str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.count("\n== ") > 12 and "ended with" not in done.stdout, done.stdout
    configuration = (tmp_path / "out/deterministic-jit-2.txt").read_text()
    assert "deterministic: true" in configuration and "jit: true" in configuration
    assert subprocess.run([*command, "all"], env=environment, capture_output=True).returncode == 2
