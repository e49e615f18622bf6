"""What `msda-tf doctor` looks at: each check says what it found, what that means, and what to do about it."""

import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from msda_tf.packages import version
from msda_tf.printable import printable

from . import gpu

OK, WARN, FAIL = "ok", "warn", "fail"
"""Verdicts: nothing to do; works, but read this; something will fail."""

_GIB = 1 << 30


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
      name: of what was looked at.
      verdict: `OK`, `WARN` or `FAIL`.
      found: what is there, in a line.
      remedy: what to do; empty if nothing.
    """

    name: str
    verdict: str
    found: str
    remedy: str = ""


def run() -> list[Check]:
    """All of them; takes as long as TensorFlow takes to load."""
    tensorflow, devices = _tensorflow()
    checks = [_python(), _packages(), _extras(), tensorflow, _gpu(devices), _processor(), _memory()]
    checks += [_disk(), _descriptors(), _writing(), _weights()]
    return [Check(each.name, each.verdict, printable(each.found), printable(each.remedy)) for each in checks]


def _python() -> Check:
    found = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {sys.executable}"
    if sys.version_info < (3, 11) or sys.maxsize < 2**32:
        return Check("Python", FAIL, found, "install a 64-bit Python 3.11, 3.12 or 3.13")
    if sys.version_info >= (3, 14):
        return Check("Python", WARN, found, "newer than what this was tried with: 3.11 to 3.13")
    return Check("Python", OK, found)


def _requirements() -> list:
    """(requirement, extras that ask for it) of this package."""
    from packaging.requirements import Requirement

    found = []
    for text in importlib.metadata.requires("msda-tf") or []:
        requirement = Requirement(text)
        extras = set(re.findall(r"extra == ['\"](\w+)['\"]", text))
        if extras or requirement.marker is None or requirement.marker.evaluate():
            found.append((requirement, extras))
    return found


def _fits(requirement, found: str | None) -> bool:
    return found is not None and requirement.specifier.contains(found, prereleases=True)


def _packages() -> Check:
    try:
        needed = [requirement for requirement, extras in _requirements() if not extras]
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return Check(
            "packages", FAIL, f"not installed as a package ({error})", "pip install -e . in the project's folder"
        )
    versions = {requirement.name: version(requirement.name) for requirement in needed}
    wrong = [str(requirement) for requirement in needed if not _fits(requirement, versions[requirement.name])]
    found = ", ".join(f"{name} {known or 'missing'}" for name, known in versions.items())
    if wrong:
        return Check("packages", FAIL, found, f"pip install {' '.join(map(repr, wrong))}")
    twice = [name for name in ("opencv-python", "opencv-contrib-python") if version(name)]
    if twice:
        remedy = f"pip uninstall {twice[0]}: both write the same files (then reinstall opencv-python-headless)"
        return Check("packages", WARN, f"{found}, {twice[0]} {version(twice[0])}", remedy)
    return Check("packages", OK, found)


def _extras() -> Check:
    try:
        requirements = _requirements()
    except (ImportError, importlib.metadata.PackageNotFoundError):
        requirements = []
    extras: dict[str, bool] = {}
    for requirement, names in requirements:
        for name in names - {"test", "docs", "all", "cuda", "models"}:
            extras[name] = extras.get(name, True) and version(requirement.name) is not None
    there = ", ".join(f"{name} {'yes' if found else 'no'}" for name, found in sorted(extras.items()))
    return Check("extras", OK, there or "none known")


# In a process of its own: what is wrong with TensorFlow may end the process that loads it.
_PROBE = """
import json, sys
import tensorflow as tf
assert float(tf.reduce_sum(tf.matmul(tf.ones([64, 64]), tf.ones([64, 64])))) == 64**3
build = tf.sysconfig.get_build_info()
gpus = [tf.config.experimental.get_device_details(each).get("device_name", each.name)
        for each in tf.config.list_physical_devices("GPU")]
print("FOUND " + json.dumps({"version": tf.__version__, "gpus": gpus, "cuda": build.get("cuda_version"),
                             "cudnn": build.get("cudnn_version")}))
"""


def _tensorflow() -> tuple[Check, dict]:
    """(check, what TensorFlow found)."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=600,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        remedy = "is the disk with Python's packages very slow, or the machine overloaded?"
        return Check("TensorFlow", FAIL, "did not load in 10 minutes", remedy), {}
    answer = next((line for line in done.stdout.splitlines() if line.startswith("FOUND ")), None)
    if answer is None:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reason = said[-1] if said else f"ended by signal {-done.returncode}"
        remedy = "pip install --force-reinstall tensorflow"
        if "AVX" in done.stderr:
            remedy = "TensorFlow's packages need a processor with AVX: another machine"
        return Check("TensorFlow", FAIL, f"cannot be loaded: {reason[:300]}", remedy), {}
    devices = {**json.loads(answer.removeprefix("FOUND ")), "log": done.stderr}
    built = f", built for CUDA {devices['cuda']} and cuDNN {devices['cudnn']}" if devices["cuda"] else ""
    return Check("TensorFlow", OK, f"{devices['version']} loads and computes{built}"), devices


def _gpu(devices: dict) -> Check:
    if devices.get("gpus"):
        seen = gpu.names() or devices["gpus"]
        libraries = ", ".join(f"{name} {version}" for name, version in sorted(gpu.libraries().items()))
        return Check(
            "GPU", OK, f"{len(devices['gpus'])} used: {'; '.join(seen)}" + (f" ({libraries})" if libraries else "")
        )
    if gpu.here():
        seen = "; ".join(gpu.names()) or "NVIDIA's, whose driver says nothing"
        return Check("GPU", FAIL, f"{seen}, not used by TensorFlow", gpu.why_unused(devices.get("log", "")))
    remedy = "training the paper's networks on a CPU takes weeks; the miniature and evaluation are fine"
    return Check("GPU", WARN, "none", remedy)


def _processor() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model = ""
    try:
        model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        model = platform.processor()
    return Check("processor", OK, f"{usable} of {os.cpu_count()} cores, {model}".rstrip(", "))


def _memory() -> Check:
    sizes = {}
    try:
        for name, kilobytes in re.findall(r"(\w+):\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text()):
            sizes[name] = int(kilobytes) * 1024
    except OSError:
        return Check("memory", OK, "not known on this system")
    total, free = sizes.get("MemTotal", 0), sizes.get("MemAvailable", 0)
    found = f"{total / _GIB:.1f} GiB, {free / _GIB:.1f} GiB of them free"
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = int(pathlib.Path(file).read_text())
        except (OSError, ValueError):
            continue
        if limit < total:
            found, total = f"{found}; this container may use {limit / _GIB:.1f} GiB", limit
    if total < 8 * _GIB:
        return Check("memory", WARN, found, "the preset tiny fits; the paper's networks need 16 GiB or more")
    return Check("memory", OK, found)


def _disk() -> Check:
    free = {folder: shutil.disk_usage(folder).free for folder in (pathlib.Path.cwd(), _temporary())}
    found = ", ".join(f"{size / _GIB:.1f} GiB free in {_short(folder)}" for folder, size in free.items())
    if free[pathlib.Path.cwd()] < 20 * _GIB:
        return Check(
            "disk", WARN, found, "GTA5, SYNTHIA and Cityscapes take 150 GB raw and prepared: name another --output"
        )
    if min(free.values()) < _GIB:
        return Check("disk", WARN, found, "set TMPDIR to a folder with more space")
    return Check("disk", OK, found)


def _descriptors() -> Check:
    try:
        import resource
    except ImportError:
        return Check("open files", OK, "not limited on this system")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} at a time, {'no limit' if hard == resource.RLIM_INFINITY else hard} if asked for"
    if soft < 1024:
        return Check("open files", WARN, found, "ulimit -n 4096, before the command")
    return Check("open files", OK, found)


def _writing() -> Check:
    refused = []
    for folder in (pathlib.Path.cwd(), _temporary()):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"x" * 4096)
        except OSError as error:
            refused.append(f"{_short(folder)}: {error.strerror}")
    if refused:
        remedy = "work in a folder that is yours and on a disk that is not full, or set TMPDIR"
        return Check("writing", FAIL, "; ".join(refused), remedy)
    return Check("writing", OK, f"{_short(pathlib.Path.cwd())} and {_short(_temporary())} can be written")


def _weights() -> Check:
    """Of the paper's backbone: a file in Keras' cache, or in reach."""
    name, host = "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5", "storage.googleapis.com"
    cache = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "models"
    if (cache / name).is_file():
        return Check("weights", OK, f"ResNet-101's of ImageNet are in {_short(cache)}")
    missing = f"ResNet-101's of ImageNet are not in {_short(cache)}"
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError as error:
        remedy = f"download {name} elsewhere to {_short(cache)}, or --init FILE, or --init none: docs/weights.md"
        return Check("weights", WARN, f"{missing}, and {host} is out of reach ({error.strerror or error})", remedy)
    return Check("weights", OK, f"{missing} yet; {host}, from where they are downloaded, answers")


def _temporary() -> pathlib.Path:
    return pathlib.Path(tempfile.gettempdir())


def _short(path: pathlib.Path) -> str:
    """The path without the user's name."""
    home = str(pathlib.Path.home())
    text = str(path)
    return f"~{text[len(home) :]}" if text == home or text.startswith(f"{home}/") and home != "/" else text
