"""Path patterns with wildcards, and paths of labels made from what the wildcards of the image's pattern stand for."""

import pathlib
import re

from msda_tf.image_files.headers import FORMATS

from .listing import image_files

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
        self._expression = re.compile(expression)

    def match(self, path: str) -> tuple[str, ...] | None:
        """What each wildcard stands for in this path (with forward slashes); None if the path does not match."""
        found = self._expression.fullmatch(path)
        return found.groups() if found else None

    def fill(self, stands_for: tuple[str, ...]) -> str:
        """The pattern with its wildcards replaced."""
        pairs = zip(stands_for, self._literals[1:], strict=True)
        return self._literals[0] + "".join(text + literal for text, literal in pairs)

    def files(self, root: pathlib.Path) -> list[pathlib.Path]:
        """Files below `root` that match, sorted; only the folder before the first wildcard is searched."""
        fixed = self.folder
        if not (root / fixed).is_dir():
            return []
        remaining = self.text.removeprefix(f"{fixed}/")
        found = image_files(root / fixed, recursive="/" in remaining or "**" in remaining, suffixes=self.suffixes)
        return [path for path in found if self.match(path.relative_to(root).as_posix()) is not None]

    @property
    def folder(self) -> str:
        """The path before the first wildcard, as far as it is whole folders; empty if there is none."""
        return self._literals[0].rpartition("/")[0]

    def names_files(self) -> bool:
        """Whether the pattern can match a file that `files` looks at at all."""
        return pathlib.PurePosixPath(self.text).suffix.lower() in self.suffixes or self.text.endswith(("*", "?", "]"))
