"""TensorFlow's start-up lines: in a file, not on the screen, and on it when loading fails or the process dies."""

import os
import platform
import subprocess
import sys

import pytest

NOISE = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR"
PROGRAM = """
import sys
from msda_tf.cli import quiet
quiet.load_tensorflow()
sys.stderr.write("ours\\n")
"""


@pytest.fixture
def load(tmp_path):
    """Gives a function that loads a stand-in for TensorFlow; it gives (exit code, error output)."""
    package = tmp_path / "packages" / "tensorflow"
    package.mkdir(parents=True)
    programs = tmp_path / "programs"
    programs.mkdir()

    def load(then="", *, gpus=0, nvidia_smi=None, **environment):
        (package / "__init__.py").write_text(
            f"import os, types\nos.write(2, b{NOISE!r} + b'\\n')\n{then}\n"
            f"config = types.SimpleNamespace(list_physical_devices=lambda kind: [kind] * {gpus})\n"
        )
        if nvidia_smi is not None:
            (programs / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia_smi}\n")
            (programs / "nvidia-smi").chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_CPP", "CUDA_VISIBLE"))}
        path = f"{programs}:{os.environ['PATH']}"
        environment = {**kept, "PATH": path, "PYTHONPATH": str(package.parent), **environment}
        environment = {name: value for name, value in environment.items() if value is not None}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        return done.returncode, done.stderr

    return load


def test_nothing_is_on_the_screen(load):
    assert load() == (0, "ours\n")


def test_what_was_asked_for_is(load):
    code, shown = load(TF_CPP_MIN_LOG_LEVEL="0")
    assert code == 0 and NOISE in shown


ONEDNN = 'os.write(2, os.environ.get("TF_ENABLE_ONEDNN_OPTS", "unset").encode()); raise ImportError'


def test_onednn_is_on_where_it_is_known_to_help(load):
    _, said = load(ONEDNN, TF_ENABLE_ONEDNN_OPTS=None)
    assert said.count(f"{NOISE}\n{'1' if platform.machine() == 'x86_64' else 'unset'}") == 1


def test_onednn_can_be_turned_off(load):
    assert load(ONEDNN, TF_ENABLE_ONEDNN_OPTS="0")[1].count(f"{NOISE}\n0") == 1


def test_a_failure_shows_it(load):
    code, shown = load("raise ImportError('libcudart.so: cannot open')")
    assert code == 1 and NOISE in shown
    assert "TensorFlow cannot be loaded: ImportError: libcudart.so: cannot open (msda-tf doctor" in shown


def test_a_process_that_dies_of_it_shows_it(load):
    """As where the processor lacks instructions that TensorFlow's packages use."""
    code, shown = load("os.write(2, b'F0000 compiled to use AVX instructions\\n')\nos.abort()")
    assert code < 0 and "compiled to use AVX instructions" in shown and NOISE in shown


def test_a_child_process_is_heard(load):
    code, shown = load("import subprocess; subprocess.run(['sh', '-c', 'echo loading >&2'])")
    assert (code, shown) == (0, "ours\n")


def test_a_gpu_that_is_not_used_is_one_line(load):
    code, shown = load(nvidia_smi="echo 'NVIDIA X, 570.1, 1 MiB, 81559 MiB'")
    note, ours = shown.splitlines()
    assert code == 0 and ours == "ours"
    assert note.startswith("note: this machine's GPU is not used: ") and "pip install 'msda-tf[cuda]'" in note
    assert load(gpus=1) == (0, "ours\n")
    assert load(CUDA_VISIBLE_DEVICES="") == (0, "ours\n")  # hidden on purpose


def test_a_command_is_quiet_and_leaves_a_log_in_its_run(trained_run, tmp_path):
    command = [sys.executable, "-m", "msda_tf", "evaluate", "--run", str(trained_run.directory)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")}
    output = tmp_path / "metrics.json"
    done = subprocess.run(
        [*command, "--limit", "1", "--json", str(output)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and output.is_file()
    assert done.stderr == ""
    kept = (trained_run.directory / "tensorflow.log").read_text()
    assert "  msda-tf evaluate --run " in kept
