"""What the readers of the raw data sets return: which files make up which split, and how labels are to be read."""

import pathlib
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from msda_tf.data.writing.notes import Rejected
from msda_tf.image_files import headers
from msda_tf.image_files.headers import MAX_PIXELS, Header
from msda_tf.labels import ClassList


@dataclass(frozen=True)
class Frame:
    """One raw image.

    Attributes:
      name: the image's path inside its data set, with forward slashes.
      image: its file.
      label: its label's file; None if unlabelled.
    """

    name: str
    image: pathlib.Path
    label: pathlib.Path | None = None


@dataclass(frozen=True)
class Part:
    """Frames that are stored together, in order: `<name>-00000-of-00012.tfrecord` and so on.

    Attributes:
      frames: all labelled or all unlabelled.
      labelled: which of both.
    """

    name: str
    frames: tuple[Frame, ...]
    labelled: bool


class LabelReader(Protocol):
    """How the label files of one data set become trainIds.

    A reader of files that are no images has `read_header(path, *, max_pixels) -> Header`, too: the size that a file is
    for. One that needs more than a file's content has `of(path) -> LabelReader`: what decodes that file.
    """

    def check(self, header: Header) -> None:
        """Raises BadFrame if a file of this kind cannot hold the data set's labels."""

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """File content -> trainIds, uint8 `[H, W]`, 255 = ignore. Raises BadFrame."""


def read_header(reader: LabelReader, path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Header:
    """The size and kind of a label file. Raises BadFrame."""
    return getattr(reader, "read_header", headers.read)(path, max_pixels=max_pixels)


def reader_of(reader: LabelReader, path: pathlib.Path) -> LabelReader:
    """What decodes the file `path`. Raises BadFrame."""
    return reader.of(path) if hasattr(reader, "of") else reader


@dataclass(frozen=True)
class RawDataset:
    """A raw data set as found on disk; nothing but the names and sizes of its files has been looked at.

    Attributes:
      kind: gta5, synthia, cityscapes, folder, custom, or a name of the catalogue.
      root: its folder.
      classes: the classes of its labels, in trainId order.
      labels: how to read its labels.
      parts: its frames.
      splits: split -> names of the parts that make it up, in reading order; parts may be shared.
      training_split, evaluation_split: as in `msda_tf.data.manifest.Manifest`.
      rules: the options that decide what is stored, besides the size and format of the images.
      rejected: frames that are unusable already by their names: without partner, or double.
      known_bad: names of frames that are known to be damaged in the data set as published: left out if they are.
      notices: sentences for the user about what was found.
    """

    kind: str
    root: pathlib.Path
    classes: ClassList
    labels: LabelReader | None
    parts: tuple[Part, ...]
    splits: dict[str, tuple[str, ...]]
    training_split: str
    evaluation_split: str | None
    rules: dict = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    known_bad: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()

    @property
    def frames(self) -> list[Frame]:
        """All frames, in the order of the parts."""
        return [frame for part in self.parts for frame in part.frames]
