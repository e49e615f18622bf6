"""Decoders by name. The table is read without TensorFlow; a decoder's own module is loaded when it is made.

A further decoder is a file beside this one, whose `make` gives what `msda_tf.models.decoders.contract` describes, and a
line here.
"""

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A decoder of the table.

    Attributes:
      module: has `make(*, level, branches, num_classes, rates)`, which gives the decoder of one level.
      summary: what it is, for help and documentation.
    """

    module: str
    summary: str


DECODERS: dict[str, Entry] = {
    "atrous": Entry("msda_tf.models.decoders.atrous", "DeepLabV2's sum of atrous convolutions, the paper's"),
    "mlp": Entry("msda_tf.models.decoders.mlp", "SegFormer's: linear layers over all four maps"),
    "daformer": Entry("msda_tf.models.decoders.daformer", "DAFormer's: all four maps, and context around each pixel"),
    "transposed": Entry(
        "msda_tf.models.decoders.transposed", "two transposed convolutions over the last map, for vision transformers"
    ),
}


def make(name: str, *, level: str, branches: tuple[str, ...], num_classes: int, rates: tuple[int, ...]):
    """The decoder of one level: see `msda_tf.models.decoders.contract.Decoder`.

    Args:
      name: a key of `DECODERS`.
      level: "feature" or "output".
      branches: names of the classifiers to make.
      num_classes: C.
      rates: dilations, for decoders that have any.
    """
    module = importlib.import_module(DECODERS[name].module)
    return module.make(level=level, branches=branches, num_classes=num_classes, rates=rates)
