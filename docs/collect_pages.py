"""Collects into build/ what mkdocs reads: the pages with their links intact, the packages under their import names."""

import pathlib
import shutil

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ("*.md", "docs/**/*.md", "docs/**/*.svg", "docs/**/*.png", "docs/*.css", "examples/**/*.*")
PACKAGES = {"msda_tf": "msda_tf", "cli": "msda_tf/cli", "data_prep": "msda_tf/data_prep"}
"""As setup.py maps them."""


def collect(build: pathlib.Path) -> None:
    """Fills `build`/pages and `build`/python anew."""
    for part in ("pages", "python"):
        shutil.rmtree(build / part, ignore_errors=True)
    for pattern in PAGES:
        for path in ROOT.glob(pattern):
            copy = build / "pages" / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    for folder, package in PACKAGES.items():
        shutil.copytree(ROOT / folder, build / "python" / package, ignore=shutil.ignore_patterns("__pycache__"))


if __name__ == "__main__":
    collect(ROOT / "build")
