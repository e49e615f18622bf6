"""Which knobs of a configuration the library reads."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1] / "msda_tf"


def keys(*folders: str, without: tuple[str, ...]) -> set[str]:
    """Attributes that the library's code takes of anything called `config`, except in the files `without`."""
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        if path.name not in without:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    owner = node.value
                    if getattr(owner, "id", getattr(owner, "attr", "")).strip("_") == "config":
                        found.add(node.attr)
    return found
