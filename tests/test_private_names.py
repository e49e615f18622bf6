"""Tests use what anyone may use: no name of a module, class or object that begins with an underscore."""

import ast
import pathlib

HERE = pathlib.Path(__file__).parent


def private(name):
    return name.startswith("_") and not name.startswith("__")


def used(tree):
    """Private names that belong to something other than the test itself."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and private(node.attr)
            and getattr(node.value, "id", "") not in ("self", "cls")
        ):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names if private(alias.name))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setattr", "delattr"):
            names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from ((node.lineno, name) for name in names if private(name.rpartition(".")[2]))


def test_no_test_uses_a_private_name():
    for path in sorted(HERE.rglob("*.py")):
        found = list(used(ast.parse(path.read_text(encoding="utf-8"))))
        assert not found, f"{path.relative_to(HERE)}: {found}"
