"""`msda-tf doctor`: is this machine, and what is installed on it, fit for the work?"""

import dataclasses
import platform

import click

from msda_tf.errors import MsdaError

from . import checks, version
from .terminal import say, say_json

_COLORS = {checks.OK: None, checks.WARN: "yellow", checks.FAIL: "red"}


@click.command(context_settings={"max_content_width": 110})
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(as_json):
    """Look at Python, packages, GPU, memory, disk and weights; say what is wrong and what to do.

    Ends with a block to paste into a bug report. The exit code is 1 if something will fail.
    """
    found = checks.run()
    if as_json:
        say_json({"versions": version.versions(), "checks": [dataclasses.asdict(check) for check in found]})
    else:
        _show(found)
    bad = [check.name for check in found if check.verdict == checks.FAIL]
    if bad:
        raise MsdaError(f"{', '.join(bad)}: see {'remedy' if as_json else 'above'}")


def _show(found: list[checks.Check]) -> None:
    for check in found:
        say(f"{check.verdict:<6}{check.name:<12}{check.found}", fg=_COLORS[check.verdict])
        if check.remedy:
            say(f"{'':<18}-> {check.remedy}")
    say()
    say("For a bug report, with the command and what it said:")
    say()
    say("```")
    for name, value in version.versions().items():
        say(f"{name}: {value}")
    say(f"system: {platform.platform()}")
    for check in found:
        if check.name not in ("Python", "packages", "writing"):
            say(f"{check.name}: [{check.verdict}] {check.found}")
    say("```")
