"""Where on this machine lies what stands for folders elsewhere: data sets, and runs that are worked on.

    CACHE/NAME-HASH/url       the URL
    CACHE/NAME-HASH/known     what was the same here and there when they were last compared: see `msda_tf.remote.mirror`
    CACHE/NAME-HASH/NAME/     the folder that stands for it

MSDA_TF_CACHE names the folder of all of them; ~/.cache/msda-tf by default. It can be removed when no command is at
work, but for what a command said that it could not send.
"""

import hashlib
import os
import pathlib
import posixpath
import shutil

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError
from msda_tf.remote.place import Place

VARIABLE = "MSDA_TF_CACHE"


def root() -> pathlib.Path:
    """The folder of all.

    Raises:
      UsageError: the variable names no path of this machine.
    """
    if given := os.environ.get(VARIABLE):
        try:
            return files.local_path(given).absolute()
        except UsageError as error:
            raise UsageError(f"{VARIABLE}: {error}") from None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "msda-tf"


def here(folder: str | os.PathLike) -> pathlib.Path:
    """The folder of this machine that a path names, or that stands for a URL; what lies there is not looked at."""
    if not files.is_url(str(folder)):
        return pathlib.Path(folder)
    url = str(folder).rstrip("/")
    name = posixpath.basename(url)
    return root() / f"{name[:100]}-{hashlib.sha256(url.encode()).hexdigest()[:12]}" / name


def place(url: str) -> Place:
    """The same for a URL, made if it is not there.

    Raises:
      MsdaError: it cannot be made.
    """
    found = Place(here(url), url.rstrip("/"))
    try:
        found.here.mkdir(parents=True, exist_ok=True)
        with files.replacing(found.here.parent / "url") as temporary:
            temporary.write_text(found.there, encoding="utf-8")
    except OSError as error:
        raise MsdaError(
            f"{root()}, where what lies at {url} is kept on this machine, cannot be written ({error.strerror}): name "
            f"another folder with {VARIABLE}"
        ) from None
    return found


def shown(path: pathlib.Path) -> str:
    """The URL of what a path stands for, or the path."""
    if not path.is_relative_to(root()):
        return str(path)
    folder = root() / path.relative_to(root()).parts[0]
    try:
        url = (folder / "url").read_text(encoding="utf-8")
    except OSError:
        return str(path)
    return Place(here(url), url).url(path) if path.is_relative_to(here(url)) else str(path)


def check_room(url: str, needed: int) -> None:
    """Refuses to bring what has no room.

    Raises:
      MsdaError: the disk has fewer bytes.
    """
    free = shutil.disk_usage(root()).free
    if needed > free:
        raise MsdaError(
            f"{url}: {needed / 1e9:.2f} GB are to be brought to {root()}, where {free / 1e9:.2f} GB are free: make "
            f"room, or name another folder with {VARIABLE}"
        )
