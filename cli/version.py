"""Which msda-tf this is, and with what it works."""

import importlib.metadata
import json
import platform

import click

from msda_tf import __version__
from msda_tf.packages import version
from msda_tf.runs.provenance import revision

from .terminal import say

_PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Name -> version, of this and of what results depend on; no package is loaded."""
    found = {"msda-tf": __version__, "commit": _commit() or "not known", "python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = version(name) or "not installed"
    return found


def option(command):
    """`--version`, for the command itself."""

    def show(context, _, asked):
        if asked and not context.resilient_parsing:
            mine, commit, *others = versions().items()
            say(f"msda-tf, version {mine[1]}, commit {commit[1]}")
            say(", ".join(f"{name} {value}" for name, value in others))
            context.exit()

    return click.option(
        "--version", is_flag=True, expose_value=False, is_eager=True, callback=show, help="Show versions and exit."
    )(command)


def _commit() -> str | None:
    """Of the checkout that this runs from, or of that which pip installed from a repository."""
    if found := revision():
        return found
    try:
        text = importlib.metadata.distribution("msda-tf").read_text("direct_url.json")
        return json.loads(text)["vcs_info"]["commit_id"]
    except (importlib.metadata.PackageNotFoundError, KeyError, TypeError, ValueError):
        return None
