"""TensorFlow as the commands load it: with oneDNN's kernels, and without its start-up lines.

Its C++ code prints them before anything can be set, straight to the process' error output. They are kept: for a file
in the run's folder, for the one line about a GPU that is not used, and for the screen if loading fails, even if the
process dies of it.
"""

import contextlib
import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from msda_tf.errors import MsdaError, summary

from . import gpu
from .terminal import command_line, say

_said = ""


def load_tensorflow() -> None:
    """Imports TensorFlow and lets it look for GPUs; says so in a line if there is one that it cannot use."""
    global _said
    if "tensorflow" in sys.modules:
        return
    use_onednn()
    try:
        with _captured() as said:
            import tensorflow as tf

            found = tf.config.list_physical_devices("GPU")
    except ImportError as error:
        raise MsdaError(f"TensorFlow cannot be loaded: {summary(error)} (msda-tf doctor tells more)") from error
    _said = "".join(said)
    if not found and gpu.here():
        say(f"note: this machine's GPU is not used: {gpu.why_unused(_said)} (msda-tf doctor tells more)", err=True)


def use_onednn() -> None:
    """Has a TensorFlow that is not yet loaded take oneDNN's kernels, unless the environment says otherwise.

    By itself it does so only on processors with instructions for neural networks (VNNI, AMX), and training is faster on
    older ones, too (docs/performance.md).
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def kept_in(directory: pathlib.Path) -> Iterator[None]:
    """After the block, adds what TensorFlow said to a log in a run's folder, if it has become one."""
    try:
        yield
    finally:
        from msda_tf.runs.directory import RunDirectory

        run = RunDirectory(pathlib.Path(directory))
        if _said and (run.info.is_file() or (run.path / "stylize.json").is_file()):
            when = datetime.datetime.now().isoformat(timespec="seconds")
            # What is good to know is not worth an error: the run may be another's, or the disk full.
            with contextlib.suppress(OSError), open(run.log, "a", encoding="utf-8") as file:
                file.write(f"{when}  {command_line('msda-tf', *sys.argv[1:])}\n{_said}\n")


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """Yields a list that has, after the block, what was printed to the error output in it; shows it if it fails."""
    said: list[str] = []
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":  # asked for, by --debug or by hand
        yield said
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.NamedTemporaryFile() as file, _shown_after_a_crash(file.name, screen):
        os.dup2(file.fileno(), 2)
        failed = True
        try:
            yield said
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)
            said.append(pathlib.Path(file.name).read_text(encoding="utf-8", errors="replace"))
            if failed:
                sys.stderr.write(said[0])


@contextlib.contextmanager
def _shown_after_a_crash(name: str, screen: int) -> Iterator[None]:
    """If the process dies in the block, as on a processor without TensorFlow's instructions, another shows a file."""
    shell = shutil.which("sh")
    if shell is None:
        yield
        return
    # It waits for a line on its input: the input's end without one is this process' death.
    command = [shell, "-c", 'read -r _ || cat "$0" >&2', name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=screen, start_new_session=True) as watching:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                watching.stdin.write(b"\n")
                watching.stdin.close()
