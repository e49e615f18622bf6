"""A folder elsewhere, and the one of this machine that stands for it."""

import pathlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A folder elsewhere.

    Attributes:
      here: the folder of this machine that stands for it.
      there: its URL.
    """

    here: pathlib.Path
    there: str

    def url(self, path: pathlib.Path) -> str:
        """Of what the path `path`, below `here`, stands for."""
        relative = path.relative_to(self.here).as_posix()
        return self.there if relative == "." else f"{self.there}/{relative}"

    def words(self, text: str) -> str:
        """A text with URLs instead of paths below `here`."""
        return text.replace(str(self.here), self.there)
