"""setup.py installs every folder of the project: an editable install would not notice a forgotten one."""

import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent


def test_every_package_is_installed():
    call = next(
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    listed = set(ast.literal_eval(next(keyword.value for keyword in call.keywords if keyword.arg == "packages")))
    folders = {path.parent for top in ("msda_tf", "cli", "data_prep") for path in (ROOT / top).rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert listed == {name if name.startswith("msda_tf") else f"msda_tf.{name}" for name in names}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_the_package_runs_as_a_module():
    result = subprocess.run([sys.executable, "-m", "msda_tf", "--version"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout.split(",")[0]) == (0, "msda-tf"), result.stderr
