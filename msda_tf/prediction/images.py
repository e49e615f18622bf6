"""Image files for prediction: which there are, what their results are called, and decoding them."""

import collections
import pathlib

import numpy as np

from msda_tf.errors import MsdaError, UsageError
from msda_tf.image_files import decode, headers, walk
from msda_tf.image_files.headers import BadFrame


def find(source: pathlib.Path) -> tuple[list[pathlib.PurePath], list[walk.Problem]]:
    """The PNG and JPEG files below a folder, relative to it and sorted; or the one file itself, relative to its folder.

    Which files those are says `msda_tf.image_files.walk.files`; what could not be looked at is the second value.

    Raises:
      UsageError: there is none.
    """
    source = pathlib.Path(source)
    if source.is_file():
        return [pathlib.PurePath(source.name)], []
    if not source.is_dir():
        problem = "is neither a file nor a folder" if source.exists() else "does not exist"
        raise UsageError(f"{source} {problem}: name an image (PNG or JPEG), or a folder of images, with --input")
    found, problems = walk.files(source)
    if not found and not problems:
        endings = ", ".join(headers.FORMATS)
        raise UsageError(f"{source} holds no image: expected {endings} files, in sub-folders or not")
    return [path.relative_to(source) for path in found], problems


def check_output(source: pathlib.Path, output: pathlib.Path) -> None:
    """Raises UsageError if results of an image or folder `source` cannot go to the folder `output`."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: name a folder with --output")
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"{output} lies in the input folder {source}: the next run would take results for images; choose an "
            "--output outside it"
        )


def result_names(images: list[pathlib.PurePath]) -> dict[pathlib.PurePath, pathlib.PurePath]:
    """A PNG name for the result of each image, in the same sub-folder, all different.

    `a/frame.jpg` gives `a/frame.png`; where several images would give the same name, as `frame.jpg` and `frame.png`,
    they keep their endings: `frame.jpg.png` and `frame.png.png`.
    """
    names = {image: image.with_suffix(".png") for image in images}
    while True:
        # Not even on a disk that ignores case may two results meet.
        counts = collections.Counter(str(name).casefold() for name in names.values())
        meeting = [image for image, name in names.items() if counts[str(name).casefold()] > 1]
        longer = {image: image.with_name(f"{image.name}.png") for image in meeting}
        if all(names[image] == name for image, name in longer.items()):
            return names
        names |= longer


def read(path: pathlib.Path, *, max_pixels: int = headers.MAX_PIXELS) -> tuple[bytes, np.ndarray]:
    """An image file's content and its pixels.

    Returns:
      the file, and uint8 `[H, W, 3]` RGB as `msda_tf.image_files.decode` gives it.

    Raises:
      MsdaError: it cannot be read, is no PNG or JPEG, is damaged, or has more than `max_pixels` pixels.
    """
    try:
        data = headers.read_file(path, max_pixels=max_pixels)
        return data, decode.decode(data, max_pixels=max_pixels)
    except BadFrame as error:
        raise MsdaError(f"{path}: {error}") from None
