"""Segments image files on a server."""

import pathlib
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from msda_tf.errors import MsdaError
from msda_tf.evaluation import pictures
from msda_tf.image_files.headers import MAX_PIXELS
from msda_tf.labels import CITYSCAPES_CLASSES, IGNORE, ClassList
from msda_tf.prediction import images, results
from msda_tf.serving.client import retry


class Client(Protocol):
    """`RestClient` or `GrpcClient`."""

    def predict(self, images: list[bytes]) -> dict[str, np.ndarray]:
        """Outputs `[B, ...]` by name, of PNG or JPEG files."""


def query(
    client: Client,
    source: pathlib.Path,
    output: pathlib.Path,
    *,
    classes: ClassList | None = None,
    legend: bool = False,
    retries: int = 5,
    max_pixels: int = MAX_PIXELS,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> list[str]:
    """Sends an image, or every image of a folder, and writes `labels/`, `colors/`, `overlays/` as `predict` does.

    Without `classes`, colours are the model's if it was exported with them, else those of Cityscapes. Its confidence,
    if it gives one, is written, too.

    Args:
      client: of the server.
      source: PNG or JPEG file, or a folder.
      output: the folder to write to.
      classes: of the model: `msda_tf.serving.client.classes.read`.
      legend: put their names and colours below colours and overlays.
      retries: how often to ask again while the server is unavailable.
      max_pixels: larger images are not sent; their headers tell.
      on_progress: called with (images done, number of images).

    Returns:
      the messages of the images that failed, and of folders that could not be looked at.

    Raises:
      UsageError: there is no image.
      Unavailable: the server did not become available.
    """
    found, problems = images.find(source)
    names = images.result_names(found)
    root = source.parent if source.is_file() else source
    failed = [f"{problem.path}: {problem.reason}" for problem in problems]
    for done, (image, name) in enumerate(names.items(), 1):
        try:
            data, pixels = images.read(root / image, max_pixels=max_pixels)
        except MsdaError as error:
            failed.append(str(error))
            on_progress(done, len(names))
            continue
        try:
            outputs = retry.ask(lambda data=data: client.predict([data]), retries=retries)
            _write(output, name, _pictures(_checked(outputs, pixels), pixels, classes, legend))
        except retry.Unavailable:
            raise
        except MsdaError as error:
            failed.append(f"{root / image}: {error}")
        on_progress(done, len(names))
    return failed


def _checked(outputs: dict[str, np.ndarray], pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of the one image; refuses what cannot be shown over it."""
    size = pixels.shape[:2]
    labels = outputs.get("label_map")
    if labels is None or labels.shape != (1, *size) or labels.dtype != np.uint8:
        raise MsdaError("the server's answer holds no label map of the image's size: is it an msda-tf model?")
    colors, confidence = outputs.get("color_map"), outputs.get("confidence")
    if colors is not None and (colors.shape != (1, *size, 3) or colors.dtype != np.uint8):
        raise MsdaError("the server's color_map is not of the image's size: is it an msda-tf model?")
    if confidence is not None and (
        confidence.shape != (1, *size) or not ((confidence >= 0) & (confidence <= 1.001)).all()
    ):
        raise MsdaError("the server's confidence is no probability for each pixel: is it an msda-tf model?")
    return {name: value[0] for name, value in outputs.items()}


def _pictures(
    outputs: dict[str, np.ndarray], pixels: np.ndarray, classes: ClassList | None, legend: bool
) -> dict[str, np.ndarray]:
    """Kind of result -> what is written of one image."""
    colors = outputs.get("color_map") if classes is None else None
    classes = classes or CITYSCAPES_CLASSES
    known = outputs["label_map"][outputs["label_map"] != IGNORE]
    if colors is None and known.size and known.max() >= len(classes):
        raise MsdaError(
            f"the server's label map holds class {known.max()}, and {len(classes)} classes are known: "
            "--classes EXPORT with the export that the server runs"
        )
    maps = {"labels": outputs["label_map"]}
    kinds = results.DEFAULT_KINDS
    if "confidence" in outputs:
        maps["confidence"] = outputs["confidence"]
        kinds = results.KINDS
    shown = {kind: results.picture(kind, pixels, maps, classes, legend=legend) for kind in kinds}
    if colors is not None:
        shown["colors"] = colors
        shown["overlays"] = cv2.addWeighted(pixels, 0.5, colors, 0.5, 0)
    return shown


def _write(output: pathlib.Path, name: pathlib.PurePath, shown: dict[str, np.ndarray]) -> None:
    for kind, picture in shown.items():
        path = output / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.write_png(path, picture)
