"""Whether raw files are still those that a prepared data set was made from: by their content, read only if need be."""

import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import google_crc32c

from msda_tf import files
from msda_tf.errors import MsdaError
from msda_tf.image_files import headers
from msda_tf.remote.place import Place
from msda_tf.remote.shadow import Visit

from ..readers.frames import Frame, RawDataset

NAMES, TIMES, CONTENT = "input_sha256", "input_times_sha256", "input_content_sha256"
"""Keys in dataset.json: of the names and sizes of all files, of these and their times, and of the files' content. The
first alone is there if the data set was prepared before the others were noted."""

Checksums = tuple[int | None, int | None]
"""CRC-32C of an image and of its label; None for what is not there or cannot be read."""


def checksum(data: bytes) -> int:
    """CRC-32C: no secret that would resist forgery, but fast, and no correction of a file escapes it."""
    return google_crc32c.value(data)


class Source:
    """The files of a raw data set, as they are at this moment.

    Args:
      raw: the data set.
      workers: files read at a time, where content must be compared.
      report: called with the number of frames before they are compared, and with None for each one that was.
      places: shadows of folders elsewhere, from where files are brought to be read.
    """

    def __init__(
        self,
        raw: RawDataset,
        *,
        workers: int,
        report: Callable[[int | None], None],
        places: Sequence[Place] = (),
    ):
        self._raw, self._workers, self._report, self._places = raw, workers, report, places
        # At the beginning: a file that is corrected during the conversion is another one afterwards.
        self._stats = {path: _stat(path) for frame in raw.frames for path in (frame.image, frame.label) if path}

    def describe(self, contents: Mapping[str, Checksums]) -> dict[str, str]:
        """What dataset.json keeps.

        Args:
          contents: frame's name -> checksums, for the frames that were read; the others are read now.
        """
        return {NAMES: self._names(), TIMES: self._times(), CONTENT: self._content(contents)}

    def same(self, kept: Mapping[str, str]) -> bool:
        """Whether the files are those of which `describe` gave `kept`.

        Names and sizes must agree. If a time does not, the files may have been corrected, or only copied: then all of
        them are read.
        """
        if kept.get(NAMES) != self._names():
            return False
        return CONTENT not in kept or kept.get(TIMES) == self._times() or kept[CONTENT] == self._content({})

    def newer_than(self, path: pathlib.Path) -> int:
        """How many files were written after the file `path`."""
        made = path.stat().st_mtime_ns
        return sum(stat is not None and stat[1] > made for stat in self._stats.values())

    def _names(self) -> str:
        return _digest([frame.name, [stat and stat[0] for stat in self._of(frame)]] for frame in self._raw.frames)

    def _times(self) -> str:
        return _digest([frame.name, self._of(frame)] for frame in self._raw.frames)

    def _of(self, frame: Frame) -> list[tuple[int, int] | None]:
        return [self._stats.get(path) for path in (frame.image, frame.label)]

    def _content(self, contents: Mapping[str, Checksums]) -> str:
        todo = [frame for frame in self._raw.frames if frame.name not in contents]
        self._report(len(todo))

        def read(frame: Frame) -> Checksums:
            with Visit(self._places) as visit:
                found = tuple(path and _checksum_of(path, visit) for path in (frame.image, frame.label))
            self._report(None)
            return found

        with ThreadPoolExecutor(self._workers) as pool:
            read_now = dict(zip((frame.name for frame in todo), pool.map(read, todo), strict=True))
        known = {**contents, **read_now}
        return _digest([frame.name, known[frame.name]] for frame in self._raw.frames)


def _stat(path: pathlib.Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in nanoseconds."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _checksum_of(path: pathlib.Path, visit: Visit) -> int | None:
    crc = google_crc32c.Checksum()
    try:
        with files.open_regular(visit.bring(path)) as file:
            if os.fstat(file.fileno()).st_size > headers.LONGEST:
                return None  # no frame, whatever it holds
            while piece := file.read(2**20):
                crc.update(piece)
    except (OSError, MsdaError):
        return None
    return int.from_bytes(crc.digest(), "big")


def _digest(entries: Iterable[list]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(json.dumps(entry).encode())
    return digest.hexdigest()
