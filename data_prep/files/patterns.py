"""Path patterns with wildcards, and paths of labels made from what the wildcards of the image's pattern stand for."""

import os
import pathlib
import re

from msda_tf.image_files import walk
from msda_tf.image_files.headers import FORMATS

_WILDCARD = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]/]+\]")
_MEANING = {"**/": "((?:[^/]+/)*)", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}


class Pattern:
    """A path below a root, with `*` (within one name), `**` (over folders), `?` and `[...]` as in a shell.

    Example:
      images, labels = Pattern("images/*/*_rgb.png"), Pattern("labels/*/*_ids.png")
      stands_for = images.match("images/oslo/0001_rgb.png")   # ("oslo", "0001")
      labels.fill(stands_for)                                  # "labels/oslo/0001_ids.png"

    Args:
      text: the path.
      suffixes: of the files that are looked at, in lower case; images' by default.

    Raises:
      re.error: what stands in brackets means nothing.
    """

    def __init__(self, text: str, suffixes: tuple[str, ...] = ()):
        self.text = text
        self.suffixes = suffixes or tuple(FORMATS)
        self._literals = _WILDCARD.split(text)
        self.wildcards = _WILDCARD.findall(text)
        expression = re.escape(self._literals[0])
        for wildcard, literal in zip(self.wildcards, self._literals[1:], strict=True):
            meaning = _MEANING.get(wildcard) or f"({wildcard.replace('[!', '[^')})"
            expression += meaning + re.escape(literal)
        self._expression = re.compile(expression, re.DOTALL)

    def match(self, path: str) -> tuple[str, ...] | None:
        """What each wildcard stands for in this path (with forward slashes); None if the path does not match."""
        found = self._expression.fullmatch(path)
        return found.groups() if found else None

    def fill(self, stands_for: tuple[str, ...]) -> str:
        """The pattern with its wildcards replaced."""
        pairs = zip(stands_for, self._literals[1:], strict=True)
        return self._literals[0] + "".join(text + literal for text, literal in pairs)

    def files(self, root: pathlib.Path) -> tuple[list[pathlib.Path], list[walk.Problem]]:
        """Files below `root` that match, sorted, and what could not be looked at on the way to them."""
        found, problems = self._below(pathlib.Path(root), self.text.split("/"))
        matching = (path for path in found if self.match(path.relative_to(root).as_posix()) is not None)
        return sorted(matching), problems

    def _below(self, folder: pathlib.Path, parts: list[str]) -> tuple[list[pathlib.Path], list[walk.Problem]]:
        """Files that may match: one folder down for each part, so that links in a circle make no way without end."""
        part, *deeper = parts
        if "**" in part:
            return walk.files(folder, suffixes=self.suffixes)
        if not _WILDCARD.search(part):
            path = folder / part
            if deeper:
                return self._below(path, deeper) if path.is_dir() else ([], walk.dead([path]))
            return [path] if os.path.lexists(path) and not path.is_dir() else [], []
        inside = walk.entries(folder, self.suffixes)
        if not deeper:
            return list(inside.files), [problem for problem in inside.problems if problem.path == folder]
        wanted = Pattern(part)
        found, problems = [], [each for each in inside.problems if each.path == folder or wanted.match(each.path.name)]
        for path in (*inside.folders, *inside.links):
            if wanted.match(path.name):
                more_found, more_problems = self._below(path, deeper)
                found += more_found
                problems += more_problems
        return found, problems

    @property
    def folder(self) -> str:
        """The path before the first wildcard, as far as it is whole folders; empty if there is none."""
        return self._literals[0].rpartition("/")[0]

    def names_files(self) -> bool:
        """Whether the pattern can match a file that `files` looks at at all."""
        return pathlib.PurePosixPath(self.text).suffix.lower() in self.suffixes or self.text.endswith(("*", "?", "]"))
