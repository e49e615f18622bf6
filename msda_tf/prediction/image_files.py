"""Image files through networks to result files, and what each result was made of."""

import hashlib
import pathlib
from collections.abc import Callable, Mapping

import tensorflow as tf

from msda_tf.evaluation import pictures
from msda_tf.inference.stream import stream
from msda_tf.labels import ClassList
from msda_tf.prediction import images, results


def segment_files(
    paths: Mapping[pathlib.PurePath, Mapping[str, pathlib.Path]],
    *,
    root: pathlib.Path,
    segment: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    classes: ClassList,
    max_pixels: int,
    legend: bool = False,
    on_result: Callable[[pathlib.PurePath, str], None],
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Segments image files, and writes the results of each.

    Args:
      paths: image, relative to `root` -> kind -> file to write.
      root: folder of the images.
      segment: of images uint8 `[B, H, W, 3]`, gives maps `[B, H, W]` by name.
      classes: whose colours.
      max_pixels: larger images are refused before they are decoded.
      legend: see `results.picture`.
      on_result: called with an image and its file's SHA-256 when all its results are whole; from several threads.
      on_progress: called with the number of images done.

    Returns:
      a message for each image that could not be segmented; the others were written.
    """
    digests = {}

    def read(image):
        data, pixels = images.read(root / image, max_pixels=max_pixels)
        digests[image] = hashlib.sha256(data).hexdigest()
        return tf.constant(pixels)

    def write(image, pixels, maps):
        for kind, path in paths[image].items():
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures.write_png(path, results.picture(kind, pixels, maps, classes, legend=legend))
        on_result(image, digests.pop(image))

    return stream(paths, read=read, segment=segment, write=write, on_progress=on_progress)
