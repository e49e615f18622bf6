"""The modules of the project by their import names, without importing them."""

import pathlib

ROOT = pathlib.Path(__file__).parents[1]

PACKAGES = {"msda_tf": ("msda_tf",), "cli": ("msda_tf", "cli"), "data_prep": ("msda_tf", "data_prep")}
"""Folder -> the package that setup.py makes of it."""

_FILES = {
    (*package, *path.relative_to(ROOT / folder).with_suffix("").parts): path
    for folder, package in PACKAGES.items()
    for path in sorted((ROOT / folder).rglob("*.py"))
}

MODULES = {name[:-1] if name[-1] == "__init__" else name: path for name, path in _FILES.items()}
"""Parts of a module's name -> its file."""
