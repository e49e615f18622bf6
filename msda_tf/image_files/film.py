"""Films as OpenCV may open them."""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

import cv2

ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
"""Of the files that are taken for films, in small letters."""


def is_film(path: pathlib.Path) -> bool:
    """Whether a path is a file that is called like a film."""
    return path.suffix.lower() in ENDINGS and path.is_file()


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[cv2.VideoCapture]:
    """A film to be read; whether OpenCV can, its `isOpened()` says.

    By OpenCV's readers of files: others would take the name for a pattern of images, or a pipeline.
    """
    with contextlib.ExitStack() as stack:
        name = openable(path, stack)
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        if not capture.isOpened():
            capture = cv2.VideoCapture(name, cv2.CAP_OPENCV_MJPEG)
        stack.callback(capture.release)
        yield capture


def openable(path: pathlib.Path, stack: contextlib.ExitStack) -> str:
    """The path as OpenCV may have it: absolute, for it takes `a:b` for a protocol, and in UTF-8, or it crashes.

    Args:
      path: of a film, or of a folder for one.
      stack: how long the name is to hold.
    """
    absolute = path.absolute()
    try:
        str(absolute).encode()
    except UnicodeEncodeError:
        link = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())) / "link"
        link.symlink_to(absolute)
        absolute = link
    return str(absolute)
