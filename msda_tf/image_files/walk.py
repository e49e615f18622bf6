"""Which files of images (or labels) a folder holds: one walk, so that every command finds the same ones.

Names that begin with a dot are left out, files and folders alike: they hold thumbnails, editors' copies, wastebaskets.
Links are followed. What cannot be looked at is told, never taken for not there.
"""

import os
import pathlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from msda_tf.image_files.headers import FORMATS


@dataclass(frozen=True)
class Problem:
    """What could not be looked at: a folder without permission, a link to one that is not mounted."""

    path: pathlib.Path
    reason: str


@dataclass(frozen=True)
class Entries:
    """What one folder holds, each sorted by name, links followed.

    Attributes:
      files: what has one of the endings and is no folder, links that lead nowhere included.
      folders: folders, but for links to folders.
      links: links to folders.
      problems: links that lead nowhere and may be meant for folders; or the folder itself.
    """

    files: tuple[pathlib.Path, ...] = ()
    folders: tuple[pathlib.Path, ...] = ()
    links: tuple[pathlib.Path, ...] = ()
    problems: tuple[Problem, ...] = ()


def entries(folder: pathlib.Path, suffixes: Collection[str] = FORMATS) -> Entries:
    """What the folder itself holds; all of its names are seen, whatever bytes they consist of."""
    files, folders, links, problems = [], [], [], []
    try:
        with os.scandir(folder) as found:
            ordered = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        return Entries(problems=(Problem(folder, f"cannot be read: {error.strerror}"),))
    for entry in ordered:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        elif path.is_dir():
            links.append(path)
        elif path.suffix.lower() in suffixes:
            files.append(path)
        elif entry.is_symlink():
            problems += dead([path])
    return Entries(tuple(files), tuple(folders), tuple(links), tuple(problems))


def dead(paths: Iterable[pathlib.Path]) -> list[Problem]:
    """Those of the paths that are links which cannot be followed."""
    problems = []
    for path in paths:
        if path.is_symlink():
            try:
                os.stat(path)
            except FileNotFoundError:
                problems.append(Problem(path, f"broken symbolic link to {path.readlink()}: is its disk mounted?"))
            except OSError as error:
                problems.append(Problem(path, f"a symbolic link that cannot be followed: {error.strerror}"))
    return problems


def files(
    root: pathlib.Path, *, suffixes: Collection[str] = FORMATS, recursive: bool = True
) -> tuple[list[pathlib.Path], list[Problem]]:
    """The files of some endings below a folder.

    Every folder is looked through once, however many links lead to it: first those that are really there, then those
    that only links lead to.

    Args:
      root: the folder.
      suffixes: the endings, in lower case; those of PNG and JPEG by default. Names may have them in any case.
      recursive: also look into its folders. Otherwise a folder that is named as a file is a problem.

    Returns:
      The files, sorted by path, and what could not be looked at. A file that turns out to be unreadable, or no file, is
      among the files: whoever opens it will say so.
    """
    found, problems, seen = [], [], set()
    waiting, links = [pathlib.Path(root)], []
    while waiting or links:
        if not waiting:
            links.sort()
            waiting.append(links.pop(0))
        folder = waiting.pop()
        try:
            status = os.stat(folder)
        except OSError as error:
            problems.append(Problem(folder, f"cannot be read: {error.strerror}"))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        inside = entries(folder, suffixes)
        found += inside.files
        problems += inside.problems
        if recursive:
            waiting += inside.folders
            links += inside.links
        else:
            folders = (path for path in (*inside.folders, *inside.links) if path.suffix.lower() in suffixes)
            problems += (Problem(path, "a folder that is named as an image") for path in folders)
    return sorted(found), sorted(problems, key=lambda problem: problem.path)
