"""Trained networks as an object: three lines from a run to a label map.

import msda_tf
model = msda_tf.load("runs/my-city")
model.segment("frame.png").show()
"""

import io
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from PIL import Image

from msda_tf.errors import UsageError
from msda_tf.evaluation import palettes, pictures
from msda_tf.labels import ClassList
from msda_tf.prediction import images
from msda_tf.runs import trained
from msda_tf.runs.trained import Trained

ImageLike = str | os.PathLike | np.ndarray | Image.Image


@dataclass(frozen=True)
class Segmentation:
    """What networks see in an image. A notebook shows it as a picture.

    Attributes:
      image: uint8 `[H, W, 3]` RGB.
      labels: trainIds uint8 `[H, W]`.
      confidence: probability of that class, float32 `[H, W]`, 0-1.
      classes: names and colours of the trainIds.
    """

    image: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    classes: ClassList

    @property
    def shares(self) -> dict[str, float]:
        """Share of the pixels of each class that is seen, largest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        return {
            self.classes.names[n]: counts[n] / self.labels.size for n in np.argsort(-counts, kind="stable") if counts[n]
        }

    def overlay(self, alpha: float = 0.5) -> np.ndarray:
        """The image with the classes' colours over it, `alpha` of each pixel: uint8 `[H, W, 3]` RGB."""
        return pictures.overlay(self.image, self.labels, self.classes, alpha)

    def panel(self) -> np.ndarray:
        """Image and label map side by side above a legend: uint8 `[height, width, 3]` RGB."""
        return pictures.panel(self.image, {"Label map": self.labels}, self.classes)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the label map as a greyscale PNG, whose values are the trainIds."""
        pictures.write_png(path, self.labels)

    def show(self) -> None:
        """Opens the panel in the system's image viewer; in a notebook, shows it below the cell."""
        picture = Image.fromarray(self.panel())
        try:
            from IPython import get_ipython
            from IPython.display import display
        except ImportError:
            picture.show()
            return
        # IPython on a terminal has no pictures.
        if getattr(get_ipython(), "kernel", None) is None:
            picture.show()
        else:
            display(picture)

    def png(self) -> bytes:
        """The panel as a PNG file."""
        encoded = io.BytesIO()
        Image.fromarray(self.panel()).save(encoded, "png")
        return encoded.getvalue()

    _repr_png_ = png  # how notebooks ask for it


class Model:
    """Trained networks with their weights, which segment images one by one.

    Attributes:
      networks: what was loaded: runs, checkpoints, and how branches are merged.
    """

    def __init__(self, networks: Trained):
        self.networks = networks
        self._segment = tf.function(
            networks.inference.segment_with_confidence,
            input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)],
            autograph=False,
        )

    @property
    def classes(self) -> ClassList:
        """Names and colours of the trainIds."""
        return self.networks.classes

    def segment(self, image: ImageLike) -> Segmentation:
        """The merged label map of an image, which may have any size.

        Args:
          image: the path of a PNG or JPEG file, a PIL image, or uint8 `[H, W, 3]` RGB.

        Raises:
          UsageError: an array of another shape or type.
          MsdaError: the file is missing or damaged.
        """
        pixels = _pixels(image)
        labels, confidence = self._segment(tf.constant(pixels[None]))
        return Segmentation(pixels, labels[0].numpy(), confidence[0].numpy(), self.classes)

    def segment_all(
        self, found: str | os.PathLike | Iterable[ImageLike], *, progress: bool = True
    ) -> Iterator[Segmentation]:
        """`segment` of many: of the images below a folder, or of any list of images, one at a time.

        Args:
          found: the folder, or the images.
          progress: show a bar in the terminal or notebook.
        """
        if isinstance(found, (str, os.PathLike)):
            root = pathlib.Path(found)
            names, _ = images.find(root)
            found = [(root.parent if root.is_file() else root) / name for name in names]
        if progress:
            from rich.progress import track

            found = track(found, "segmenting")
        yield from map(self.segment, found)

    def __repr__(self) -> str:
        runs = ", ".join(str(run.directory) for run in self.networks.runs)
        inference = self.networks.inference
        return f"<Model of {runs}: {inference.rule} of {', '.join(inference.merged)}, {len(self.classes)} classes>"


def load(
    runs: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    merge: str | None = None,
    select: str | None = None,
    window: tuple[int, int] | None = None,
    branches: Sequence[str] | None = None,
    mean_of: str | None = None,
    palette: str = palettes.OWN,
) -> Model:
    """Loads the networks of one or more runs.

    Args:
      runs: a run directory, or several whose branches are merged.
      merge: one of `msda_tf.inference.merge.RULES`; the runs' own by default.
      select: "last" or "best" checkpoint; each run's own choice by default.
      window: (height, width) of overlapping windows of the networks' input in which images pass; each run's own by
        default.
      branches: shown names of the branches to merge ("S1", "S-All"); all that were adapted by default.
      mean_of: of several targets that differ in their mean, the one that the images are like: its mean is subtracted.
      palette: "own" for the classes' own colours, or "colour-blind".

    Raises:
      UsageError: a folder is no run or has no checkpoint, the runs do not fit together, or `mean_of` is none of their
        targets or needed.
      MsdaError: a run is damaged.
    """
    directories = [runs] if isinstance(runs, (str, os.PathLike)) else list(runs)
    networks = trained.load(directories, merge=merge, select=select, branches=branches, only_merged=True)
    return Model(networks.centred(mean_of).in_windows(window).in_colours(palette))


def _pixels(image: ImageLike) -> np.ndarray:
    """uint8 `[H, W, 3]` RGB."""
    if isinstance(image, (str, os.PathLike)):
        return images.read(pathlib.Path(image))[1]
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UsageError(f"an image is a path, a PIL image or uint8 [H, W, 3] RGB, not {found}")
    return image
