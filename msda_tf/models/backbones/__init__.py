"""Backbones by name. The table is read without TensorFlow; a backbone's own module is loaded when it is made.

A further backbone is a file beside this one, whose `make` gives what `msda_tf.models.backbones.contract` describes, and
a line here.
"""

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A backbone of the table.

    Attributes:
      module: has `make(name, *, norm, recompute)`, which gives the backbone.
      summary: what it is, for help and documentation.
    """

    module: str
    summary: str


_ATROUS_RESNET = "msda_tf.models.backbones.atrous_resnet"
_LITE = "msda_tf.models.backbones.efficientnet_lite"

BACKBONES: dict[str, Entry] = {
    "resnet101": Entry(_ATROUS_RESNET, "DeepLabV2's ResNet-101, the paper's"),
    "resnet50": Entry(_ATROUS_RESNET, "the same with 50 layers"),
    "tiny": Entry(_ATROUS_RESNET, "the same with few and narrow blocks: learns the miniature scenes on a CPU"),
    "efficientnet-lite0": Entry(_LITE, "small and quick, with ImageNet weights as a package: for a small GPU or a CPU"),
    "efficientnet-lite1": Entry(_LITE, "the same, a fifth deeper"),
    "efficientnet-lite2": Entry(_LITE, "the same, deeper and wider"),
    "efficientnet-lite3": Entry(_LITE, "the same, larger; no package of weights"),
    "efficientnet-lite4": Entry(_LITE, "the same, largest; no package of weights"),
}


def make(name: str, *, norm: str, recompute: bool):
    """The backbone of this name with fresh weights: see `msda_tf.models.backbones.contract.Backbone`.

    Args:
      name: a key of `BACKBONES`.
      norm: of the layers after convolutions (see the knob of this name).
      recompute: in training, keep only the blocks' outputs and compute the rest again in the backward pass.
    """
    return importlib.import_module(BACKBONES[name].module).make(name, norm=norm, recompute=recompute)
