"""Frames of a film as a folder of images, which is then prepared like any other."""

import contextlib
import pathlib
import shutil
from collections.abc import Callable

import cv2

from msda_tf import files, lock, state_file
from msda_tf.errors import MsdaError, UsageError, of_system
from msda_tf.image_files import film

_MARK = "film.json"  # in the folder: which film, and how often

EVERY = 1.0
"""Seconds between frames: neighbours of a 25th of a second show the same street."""


def extract(
    source: pathlib.Path,
    folder: pathlib.Path,
    *,
    every: float = EVERY,
    force: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[str]:
    """Writes a frame of every so many seconds to `folder`, as NAME-000012.png, unless they are there already.

    The folder appears when it is whole; what breaks off of a damaged film is left out.

    Args:
      source: the film.
      folder: of the frames; its parent is made.
      every: seconds between two frames.
      force: write them anew.
      progress: called with (stage, frames of the film read, how many it says it has).

    Returns:
      sentences for the user.

    Raises:
      UsageError: frames of another film, or at other times, are there.
      MsdaError: the film cannot be read.
    """
    status = source.stat()
    wanted = {"film": source.name, "bytes": status.st_size, "modified": int(status.st_mtime), "every": every}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock.hold(folder.parent, "msda-tf prepare", result=folder.name):
        if force and (folder / _MARK).is_file():
            shutil.rmtree(folder)
        if folder.exists():
            return _check(folder, wanted)
        unmarked = folder.with_name(f".{folder.name}.unmarked")
        shutil.rmtree(unmarked, ignore_errors=True)  # of a process that was killed
        unmarked.mkdir()
        try:
            notices = _write(source, unmarked, every, progress)
            files.write_json(unmarked / _MARK, wanted | {"notices": notices})
            unmarked.rename(folder)
        except OSError as error:
            raise MsdaError(of_system(error)) from None
        finally:
            shutil.rmtree(unmarked, ignore_errors=True)
    return notices


def _write(source: pathlib.Path, folder: pathlib.Path, every: float, progress) -> list[str]:
    with film.opened(source) as capture:
        rate, due = capture.get(cv2.CAP_PROP_FPS), max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        if not capture.isOpened():
            raise MsdaError(
                f"{source} cannot be read as a video: it is damaged, or of a kind that OpenCV does not know"
            )
        # Damaged headers state any rate.
        spacing = max(1, round(every * (rate if 0.1 <= rate <= 1000 else 25.0)))
        read = written = 0
        while capture.grab():
            if read % spacing == 0:
                there, frame = capture.retrieve()
                if not there:
                    break
                (folder / f"{source.stem}-{read:06d}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
                written += 1
            read += 1
            if progress and read % spacing == 0:
                progress("reading the film", read, max(read, due))
    if not written:
        raise MsdaError(f"{source} holds no frame that can be decoded: it is damaged")
    found = [f"{written} frames of {source.name}, one every {spacing} of {read}"]
    if read < 0.98 * due:
        found.append(f"{source.name} breaks off: {read} of {due} frames could be read, the rest is missing or damaged")
    return found


def _check(folder: pathlib.Path, wanted: dict) -> list[str]:
    """What was said when they were written; refuses others."""
    there = {}
    with contextlib.suppress(OSError, ValueError):
        there = files.read_json(folder / _MARK)
    if not isinstance(there, dict) or "film" not in there:
        raise UsageError(f"{folder} holds something else than frames of a film: choose another --name or --output")
    other = [key for key, value in wanted.items() if there.get(key) != value]
    if other:
        before, now = (state_file.described(each.get(other[0])) for each in (there, wanted))
        raise UsageError(
            f"{folder} holds frames of another film, or at other times ({other[0]} {before}, now {now}): choose "
            "another --name, or take them anew with --force"
        )
    notices = there.get("notices")
    return [str(each) for each in notices] if isinstance(notices, list) else []
