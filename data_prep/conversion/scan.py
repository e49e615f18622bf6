"""A quick look at every file before anything is converted: headers and sizes, not pixels."""

import csv
import pathlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from msda_tf import files
from msda_tf.data.writing.notes import Rejected
from msda_tf.image_files import headers
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame

from ..readers.frames import Frame, LabelReader, RawDataset, read_header

REPORT = "rejected.csv"


def scan(
    raw: RawDataset, *, max_pixels: int = MAX_PIXELS, workers: int, on_frame: Callable[[], None]
) -> list[Rejected]:
    """Checks the headers of all files of a data set, and that images and labels agree in size.

    Args:
      max_pixels: most pixels that an image or label may have.
      workers: number of threads.
      on_frame: called after each frame, from any thread.

    Returns:
      The bad frames, in the order of the frames.
    """

    def check(frame: Frame) -> Rejected | None:
        bad = check_frame(frame, raw.labels, max_pixels=max_pixels)
        on_frame()
        return bad

    with ThreadPoolExecutor(workers) as pool:
        return [bad for bad in pool.map(check, raw.frames) if bad]


def check_frame(frame: Frame, reader: LabelReader | None, *, max_pixels: int = MAX_PIXELS) -> Rejected | None:
    """What is wrong with a frame as far as its files' headers tell; None if nothing is."""
    blame = frame.image
    try:
        header = headers.read(frame.image, max_pixels=max_pixels)
        if frame.label is None:
            return None
        blame = frame.label
        label_header = read_header(reader, frame.label, max_pixels=max_pixels)
        reader.check(label_header)
        if (label_header.height, label_header.width) != (header.height, header.width):
            raise BadFrame(size_mismatch((header.height, header.width), (label_header.height, label_header.width)))
    except BadFrame as error:
        return Rejected(frame.name, str(blame), str(error))
    return None


def size_mismatch(image: tuple[int, int], label: tuple[int, int]) -> str:
    """The reason for rejecting a frame whose image and label sizes (height, width) differ."""
    return f"the image is {image[1]}x{image[0]}, its label {label[1]}x{label[0]} pixels"


def write_report(path: pathlib.Path, rejected: list[Rejected]) -> None:
    """Writes the bad frames as CSV with the columns frame, file, reason."""
    with files.replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("frame", "file", "reason"))
        writer.writerows((bad.frame, bad.file, bad.reason) for bad in rejected)


def read_report(path: pathlib.Path) -> list[Rejected]:
    """The inverse of `write_report`; nothing if there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [Rejected(*row) for row in csv.reader(file)][1:]
