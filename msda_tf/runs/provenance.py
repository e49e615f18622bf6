"""With what something was made: command line, time, versions, git revision and devices."""

import datetime
import pathlib
import platform
import subprocess
import sys

from msda_tf.packages import version


def provenance() -> dict:
    """Command line, time, versions, git revision and devices."""
    import tensorflow as tf

    packages = ("tensorflow", "keras", "numpy", "opencv-python-headless", "msda-tf")
    return {
        "command": sys.argv,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in packages},
        "git": revision(),
        "devices": [device.name for device in tf.config.list_logical_devices()],
    }


def other_versions(noted: dict) -> list[str]:
    """The packages that differ from those of a `provenance`, as "keras 3.14.0, here 3.15.1".

    Args:
      noted: "packages" of what `provenance` gave on another day.
    """
    here = {name: version(name) for name in noted}
    return [f"{name} {was}, here {here[name]}" for name, was in noted.items() if was != here[name]]


def revision() -> str | None:
    """The revision of this project's own checkout, with "+changes" if it has any; None if it is not a checkout."""
    here = pathlib.Path(__file__).resolve().parent
    try:

        def git(*arguments):
            # A look must not lock the checkout: git killed on the way would leave a file that stops all later commands.
            command = ["git", "--no-optional-locks", "-C", str(here), *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

        if pathlib.Path(git("rev-parse", "--show-toplevel")) != here.parents[1]:
            return None
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
