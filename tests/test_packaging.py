"""setup.py installs every folder of the project: an editable install would not notice a forgotten one."""

import pathlib
import runpy
import subprocess
import sys

import pytest
import setuptools

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def arguments():
    """What setup.py gives to setuptools."""
    with pytest.MonkeyPatch.context() as patch:
        given = {}
        patch.setattr(setuptools, "setup", given.update)
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / "setup.py"))
    return given


def test_every_package_is_installed(arguments):
    folders = {path.parent for top in ("msda_tf", "cli", "data_prep") for path in (ROOT / top).rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(arguments["packages"]) == {name if name.startswith("msda_tf") else f"msda_tf.{name}" for name in names}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_every_file_that_is_no_module_is_installed(arguments):
    places = {name.replace(".", "/"): folder for name, folder in arguments["package_dir"].items()}

    def folder_of(package):
        inside = package.replace(".", "/")
        place = max((place for place in places if f"{inside}/".startswith(f"{place}/")), key=len)
        return ROOT / places[place] / inside.removeprefix(place).lstrip("/")

    patterns = [(folder_of(name), pattern) for name, found in arguments["package_data"].items() for pattern in found]
    installed = {path for folder, pattern in patterns for path in folder.glob(pattern)}
    tracked = subprocess.run(
        ["git", "ls-files", "msda_tf", "cli", "data_prep"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert installed == {ROOT / name for name in tracked if not name.endswith(".py")}


def test_the_package_runs_as_a_module():
    result = subprocess.run([sys.executable, "-m", "msda_tf", "--version"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout.split(",")[0]) == (0, "msda-tf"), result.stderr
