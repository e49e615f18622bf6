"""The site is built from the pages and the docstrings without a warning, and asks no other server for anything."""

import importlib.util
import re
import subprocess
import sys

import pytest
import yaml
from modules import ROOT

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")


def test_the_site_is_built_without_warnings(tmp_path):
    spec = importlib.util.spec_from_file_location("collect_pages", ROOT / "docs" / "collect_pages.py")
    collect_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(collect_pages)
    collect_pages.collect(tmp_path / "build")
    # As `make docs` does, in another place.
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "mkdocs.yml").write_text((ROOT / "docs" / "mkdocs.yml").read_text())
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(tmp_path / "docs/mkdocs.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    site = tmp_path / "build" / "site"
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(yaml.safe_load((ROOT / "docs" / "mkdocs.yml").read_text())["nav"])
    for page in pages:
        loaded = re.findall(
            r"<(?:script|img|link)[^>]+(?:src|href)=\"(https?:[^\"]+)", page.read_text(encoding="utf-8")
        )
        assert not loaded, f"{page.name} loads {loaded}"
    # A docstring, with its parameters.
    assert "the run directory; made if it is not there" in (site / "docs/api/verbs.html").read_text(encoding="utf-8")
