"""Segments image files on a server."""

import pathlib
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from msda_tf.errors import MsdaError
from msda_tf.evaluation import pictures
from msda_tf.image_files.headers import MAX_PIXELS
from msda_tf.labels import CITYSCAPES_CLASSES
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
    retries: int = 5,
    max_pixels: int = MAX_PIXELS,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> list[str]:
    """Sends an image, or every image of a folder, and writes `labels/`, `colors/`, `overlays/` as `predict` does.

    Colours are the model's if it was exported with them, else those of Cityscapes. Its confidence, if it gives one, is
    written, too.

    Args:
      client: of the server.
      source: PNG or JPEG file, or a folder.
      output: the folder to write to.
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
            _write(output, name, pixels, _checked(outputs, pixels))
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


def _write(output: pathlib.Path, name: pathlib.PurePath, pixels: np.ndarray, outputs: dict[str, np.ndarray]) -> None:
    maps = {"labels": outputs["label_map"]}
    shown = {kind: results.picture(kind, pixels, maps, CITYSCAPES_CLASSES) for kind in results.DEFAULT_KINDS}
    if "color_map" in outputs:
        shown["colors"] = outputs["color_map"]
        shown["overlays"] = cv2.addWeighted(pixels, 0.5, outputs["color_map"], 0.5, 0)
    if "confidence" in outputs:
        maps["confidence"] = outputs["confidence"]
        shown["confidence"] = results.picture("confidence", pixels, maps, CITYSCAPES_CLASSES)
    for kind, picture in shown.items():
        path = output / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.write_png(path, picture)
