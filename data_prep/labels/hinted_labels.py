"""Labels of a described data set, with its hint in the message about values that it does not know."""

import pathlib
from dataclasses import dataclass

import numpy as np

from msda_tf.image_files.headers import MAX_PIXELS, Header

from ..readers.frames import LabelReader, read_header, reader_of
from .label_images import UnknownLabels


@dataclass(frozen=True)
class HintedLabels:
    """Labels of another reader.

    Attributes:
      reader: what reads the files.
      hint: what unknown values probably mean.
    """

    reader: LabelReader
    hint: str

    def read_header(self, path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Header:
        """As the other reader's."""
        return read_header(self.reader, path, max_pixels=max_pixels)

    def check(self, header: Header) -> None:
        """As the other reader's."""
        self.reader.check(header)

    def of(self, path: pathlib.Path) -> "HintedLabels":
        """As the other reader's."""
        return HintedLabels(reader_of(self.reader, path), self.hint)

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """As the other reader's."""
        try:
            return self.reader.decode(data, max_pixels=max_pixels)
        except UnknownLabels as error:
            raise UnknownLabels(f"{error} ({self.hint})") from None
