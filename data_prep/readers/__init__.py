"""The readers of raw data sets, as a table: a data set with code of its own is a module of this folder and a line here.

A module is imported when its data set is asked for, so that `msda-tf prepare --help` is quick. A data set without code
of its own is a description in `data_prep/catalog/`, which the reader `custom` reads.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Reader:
    """What `msda-tf prepare` needs to know of a reader before it runs.

    Attributes:
      module: relative to this folder; its `find(raw, **options)` gives a `frames.RawDataset`.
      summary: the data set in a few words.
      options: of `prepare`, those that mean something for it alone; its `find` takes them where they are given.
      drawn: whether its raw data are drawn instead of found, so that --raw and --name mean nothing.
    """

    module: str
    summary: str
    options: tuple[str, ...] = ()
    drawn: bool = False

    def load(self) -> ModuleType:
        """Imports the module."""
        return importlib.import_module(self.module, __name__)


READERS = {
    "gta5": Reader(".gta5", "GTA5 as downloaded", options=("test_frames",)),
    "synthia": Reader(".synthia", "SYNTHIA-RAND-CITYSCAPES as downloaded", options=("test_frames", "lane_marking")),
    "cityscapes": Reader(".cityscapes", "Cityscapes as downloaded"),
    "folder": Reader(".folder", "images or a film without labels: a target to train for", options=("every",)),
    "custom": Reader(".custom", "what a YAML file of yours describes", options=("config",)),
    "miniature": Reader(
        "..miniature.generated",
        "three small data sets, drawn in the formats of the first three",
        options=("test_frames", "train_frames", "seed", "height"),
        drawn=True,
    ),
}

DESCRIBED = Reader(".custom", "described in data_prep/catalog/")
"""The reader of the data sets in the catalogue."""
