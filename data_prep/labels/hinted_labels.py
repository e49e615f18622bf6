"""Labels of a described data set, with its hint in the message about values that it does not know."""

import pathlib
from dataclasses import dataclass

import numpy as np

from msda_tf.image_files import headers
from msda_tf.image_files.headers import Header

from ..readers.frames import LabelReader
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

    def read_header(self, path: pathlib.Path) -> Header:
        """As the other reader's."""
        return getattr(self.reader, "read_header", headers.read)(path)

    def check(self, header: Header) -> None:
        """As the other reader's."""
        self.reader.check(header)

    def decode(self, data: bytes) -> np.ndarray:
        """As the other reader's."""
        try:
            return self.reader.decode(data)
        except UnknownLabels as error:
            raise UnknownLabels(f"{error} ({self.hint})") from None
