"""Image files for prediction: which there are, what their results are called, and decoding them."""

import collections
import pathlib
from typing import TYPE_CHECKING

from msda_tf.errors import MsdaError, UsageError
from msda_tf.image_files.headers import JPEG_SIGNATURE, PNG_SIGNATURE

if TYPE_CHECKING:
    import tensorflow as tf

ENDINGS = (".png", ".jpg", ".jpeg")


def find(source: pathlib.Path) -> list[pathlib.PurePath]:
    """The PNG and JPEG files below a folder, relative to it and sorted; or the one file itself, relative to its folder.

    Hidden files and folders are left out.

    Raises:
      UsageError: there is none.
    """
    if source.is_file():
        return [pathlib.PurePath(source.name)]
    if not source.is_dir():
        raise UsageError(f"{source} does not exist: name an image (PNG or JPEG), or a folder of images, with --input")
    found = (path.relative_to(source) for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
    images = sorted(path for path in found if not any(part.startswith(".") for part in path.parts))
    if not images:
        raise UsageError(f"{source} holds no image: expected {', '.join(ENDINGS)} files, in sub-folders or not")
    return images


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


def read(path: pathlib.Path) -> "tf.Tensor":
    """Decodes an image file.

    Grey images get three equal channels, an alpha channel is dropped, 16-bit images keep their upper 8 bits, and a
    rotation in EXIF data is not applied, for label maps fit the pixels as they are stored.

    Returns:
      uint8 `[H, W, 3]` RGB.

    Raises:
      MsdaError: it cannot be read, is no PNG or JPEG, or is damaged.
    """
    import tensorflow as tf  # A server's client needs no more of this module than the names.

    from msda_tf.data.transforms import decode_image

    try:
        data = path.read_bytes()
    except OSError as error:
        raise MsdaError(f"{path} cannot be read: {error.strerror}") from None
    if not data:
        raise MsdaError(f"{path} is empty (0 bytes)")
    if not data.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        raise MsdaError(f"{path} is no image: expected the content of a PNG or JPEG file")
    try:
        return decode_image(tf.constant(data))
    except tf.errors.InvalidArgumentError:
        raise MsdaError(f"{path} is a damaged or truncated image: copy it again") from None
