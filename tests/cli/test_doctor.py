"""`msda-tf doctor` and `msda-tf --version`."""

import json
import os
import re
import subprocess
import types

import command
import pytest

from msda_tf.cli import checks, gpu


@pytest.fixture
def quick(monkeypatch):
    """TensorFlow is looked at in a process of its own, which takes long: here it answers at once; gives its answer."""
    answer = {"stdout": 'FOUND {"version": "2.21.0", "gpus": [], "cuda": "12.5.1", "cudnn": "9"}\n', "stderr": ""}
    real = subprocess.run

    def run(words, **options):
        if "-c" in words:
            return subprocess.CompletedProcess(words, answer.get("code", 0), answer["stdout"], answer["stderr"])
        return real(words, **options)

    monkeypatch.setattr(checks.subprocess, "run", run)
    monkeypatch.setattr(checks.socket, "create_connection", lambda *_, **__: (_ for _ in ()).throw(OSError("offline")))
    return answer


def found(capsys, code=0):
    """Name -> check, of `msda-tf doctor --json`."""
    exit_code, printed, _ = command.run(capsys, "doctor", "--json")
    assert exit_code == code, printed
    return {check["name"]: check for check in json.loads(printed)["checks"]}


def test_every_finding_has_a_verdict_and_every_fault_a_remedy(quick, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    by_name = found(capsys)
    assert list(by_name) == [
        *("Python", "packages", "extras", "TensorFlow", "GPU", "processor"),
        *("memory", "disk", "open files", "writing", "weights"),
    ]
    for check in by_name.values():
        assert check["verdict"] in ("ok", "warn", "fail") and check["found"]
        assert bool(check["remedy"]) == (check["verdict"] != "ok")
    assert by_name["weights"]["verdict"] == "warn" and "--init" in by_name["weights"]["remedy"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    assert found(capsys)["weights"]["verdict"] == "ok"


def test_a_block_for_a_bug_report(quick, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    code, printed, _ = command.run(capsys, "doctor")
    assert code == 0
    block = printed.split("```")[1]
    for line in (r"msda-tf: \d", "commit: ", r"tensorflow: \d", "system: ", r"GPU: \[", r"TensorFlow: \[ok\] 2.21.0"):
        assert re.search(f"^{line}", block, re.MULTILINE), line
    assert str(tmp_path) not in block


def test_tensorflow_that_ends_the_process_is_a_verdict(quick, capsys):
    quick |= {"code": -6, "stdout": "", "stderr": "F0000 the library was compiled to use AVX instructions\n"}
    check = found(capsys, code=1)["TensorFlow"]
    assert check["verdict"] == "fail" and "AVX" in check["found"] and "processor" in check["remedy"]
    quick |= {"stderr": ""}
    assert "ended by signal 6" in found(capsys, code=1)["TensorFlow"]["found"]


def test_a_gpu_that_tensorflow_does_not_use(quick, capsys, monkeypatch, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA X, 570.1, 1 MiB, 81559 MiB'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check = found(capsys, code=1)["GPU"]
    assert check["verdict"] == "fail" and "NVIDIA X, 570.1" in check["found"]
    assert "pip install 'msda-tf[cuda]'" in check["remedy"]
    quick["stdout"] = quick["stdout"].replace('"gpus": []', '"gpus": ["NVIDIA X"]')
    assert found(capsys)["GPU"]["verdict"] == "ok"


def test_why_a_gpu_is_not_used_is_told_by_what_tensorflow_said(monkeypatch):
    monkeypatch.setattr(gpu, "libraries", lambda: {})
    assert gpu.why_unused() == "CUDA's libraries are not installed: pip install 'msda-tf[cuda]'"
    monkeypatch.setattr(gpu, "libraries", lambda: {"nvidia-cudnn-cu12": "9"})
    said = "E0000 00:00 cuda_platform.cc:52] failed call to cuInit: INTERNAL: UNKNOWN ERROR (303)\n"
    assert "does not answer (INTERNAL: UNKNOWN ERROR (303))" in gpu.why_unused(said)


def test_a_package_of_another_version(quick, capsys, monkeypatch):
    real = checks.importlib.metadata.version
    changed = {"keras": "2.15.0", "rich": None}

    def version(name):
        if name in changed and changed[name] is None:
            raise checks.importlib.metadata.PackageNotFoundError(name)
        return changed.get(name) or real(name)

    monkeypatch.setattr(checks.importlib.metadata, "version", version)
    check = found(capsys, code=1)["packages"]
    assert check["verdict"] == "fail" and "keras 2.15.0" in check["found"] and "rich missing" in check["found"]
    assert re.fullmatch(r"pip install 'keras<3.16,>=3.15' 'rich'", check["remedy"])


def test_a_small_machine_is_warned(quick, capsys, monkeypatch):
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=10**9))
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 4096))
    by_name = found(capsys)
    assert by_name["disk"]["verdict"] == by_name["open files"]["verdict"] == "warn"
    assert "ulimit -n" in by_name["open files"]["remedy"]


def test_version_names_commit_and_packages(capsys):
    code, printed, _ = command.run(capsys, "--version")
    first, second = printed.splitlines()
    assert code == 0 and re.fullmatch(
        r"msda-tf, version \d+\.\d+\.\d+, commit (not known|[0-9a-f]{40}(\+changes)?)", first
    )
    for name in ("python", "tensorflow", "keras", "numpy", "opencv-python-headless"):
        assert re.search(rf"\b{name} \d+\.", second)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(monkeypatch, capsys, shell):
    monkeypatch.setenv("_MSDA_TF_COMPLETE", f"{shell}_source")
    _, script, _ = command.run(capsys)
    assert "_MSDA_TF_COMPLETE" in script and "msda-tf" in script


def test_completion_knows_commands(monkeypatch, capsys):
    monkeypatch.setenv("_MSDA_TF_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "msda-tf pre")
    monkeypatch.setenv("COMP_CWORD", "1")
    _, given, _ = command.run(capsys)
    assert sorted(given.split()) == ["plain,predict", "plain,prepare"]
