"""Docstrings speak of the parameters that there are."""

import ast
import inspect
import re

from modules import MODULES

_ENTRY = re.compile(r"^  (\w+(?:, \w+)*): ", re.MULTILINE)


def documented(docstring):
    """Names below "Args:"."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.cleandoc(docstring), re.MULTILINE | re.DOTALL)
    return {name for entry in _ENTRY.findall(section[1]) for name in entry.split(", ")} if section else set()


def parameters(function):
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {argument.arg for argument in every if argument}


def test_explained_parameters_exist():
    wrong = []
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            function = node
            if isinstance(node, ast.ClassDef):
                function = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
            found = documented(ast.get_docstring(node) or "")
            if function and (unknown := found - parameters(function)):
                wrong.append(f"{path}:{node.lineno} {node.name}: {', '.join(sorted(unknown))}")
    assert not wrong, "\n".join(wrong)
