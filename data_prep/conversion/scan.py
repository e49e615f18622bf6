"""A quick look at every file before anything is converted: headers and sizes, not pixels."""

import csv
import io
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from msda_tf import files
from msda_tf.data.writing.notes import Rejected
from msda_tf.image_files import headers
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame, Header
from msda_tf.printable import printable

from ..readers.frames import Frame, LabelReader, read_header, reader_of

REPORT = "rejected.csv"


@dataclass(frozen=True)
class Scanned:
    """What a look at the headers of frames showed, in the order of the frames.

    Attributes:
      rejected: the bad ones.
      turned: names of images with an orientation.
      deep: names of images of 16 bits.
    """

    rejected: tuple[Rejected, ...]
    turned: tuple[str, ...]
    deep: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Iterable["Scanned"]) -> "Scanned":
        """Of what several looks showed, each at the frames that follow those of the one before."""
        parts = list(parts)
        return cls(
            tuple(bad for part in parts for bad in part.rejected),
            tuple(name for part in parts for name in part.turned),
            tuple(name for part in parts for name in part.deep),
        )

    def notices(self, *, labelled: bool) -> Iterator[str]:
        """What may surprise about images that can be used, in sentences for the user."""
        if self.turned:
            drawn = (
                ": labels must be drawn on the picture as it is stored, not as a viewer turns it" if labelled else ""
            )
            yield f"{_some(self.turned)} an orientation (EXIF), which is not applied{drawn}"
        if self.deep:
            yield f"{_some(self.deep)} 16 bits per channel, of which the upper 8 are taken"


def scan(
    frames: Sequence[Frame],
    labels: LabelReader | None,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int,
    on_frame: Callable[[], None] = lambda: None,
) -> Scanned:
    """Checks the headers of all files of frames, and that images and labels agree in size.

    Args:
      labels: how to read the labels.
      max_pixels: most pixels that an image or label may have.
      workers: number of threads.
      on_frame: called after each frame, from any thread.
    """

    def check(frame: Frame) -> Header | Rejected:
        found = _check(frame, labels, max_pixels)
        on_frame()
        return found

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(check, frames))
    headers_of = {frame.name: each for frame, each in zip(frames, found, strict=True) if isinstance(each, Header)}
    return Scanned(
        tuple(each for each in found if isinstance(each, Rejected)),
        tuple(name for name, header in headers_of.items() if header.orientation != 1),
        tuple(name for name, header in headers_of.items() if header.bits > 8),
    )


def _check(frame: Frame, reader: LabelReader | None, max_pixels: int) -> Header | Rejected:
    """The image's header, or what is wrong with a frame as far as its files' headers tell."""
    blame = frame.image
    try:
        header = headers.read(frame.image, max_pixels=max_pixels)
        if frame.label is None:
            return header
        blame = frame.label
        label_header = read_header(reader, frame.label, max_pixels=max_pixels)
        reader_of(reader, frame.label).check(label_header)
        if (label_header.height, label_header.width) != (header.height, header.width):
            reason = size_mismatch((header.height, header.width), (label_header.height, label_header.width))
            if header.orientation > 4 and (label_header.height, label_header.width) == (header.width, header.height):
                reason += (
                    f": the label fits the picture as its orientation (EXIF {header.orientation}) turns it, but pixels "
                    "are taken as they are stored: turn the label back"
                )
            raise BadFrame(reason)
    except BadFrame as error:
        return Rejected(frame.name, str(blame), str(error))
    return header


def _some(names: Sequence[str]) -> str:
    return f"{names[0]} has" if len(names) == 1 else f"{len(names)} images, such as {names[0]}, have"


def size_mismatch(image: tuple[int, int], label: tuple[int, int]) -> str:
    """The reason for rejecting a frame whose image and label sizes (height, width) differ."""
    return f"the image is {image[1]}x{image[0]}, its label {label[1]}x{label[0]} pixels"


def write_report(path: pathlib.Path, rejected: list[Rejected]) -> None:
    """Writes the bad frames as CSV with the columns frame, file, reason; names as `printable` shows them."""
    with files.replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("frame", "file", "reason"))
        writer.writerows(map(printable, (bad.frame, bad.file, bad.reason)) for bad in rejected)


def read_report(path: pathlib.Path) -> list[Rejected]:
    """What `write_report` wrote; nothing if there is no such file, or if it was damaged since."""
    try:
        text = files.read_bytes(path, at_most=2**26).decode("utf-8")
        return [Rejected(*row) for row in csv.reader(io.StringIO(text, newline=""))][1:]
    except (OSError, ValueError, TypeError, csv.Error):
        return []
