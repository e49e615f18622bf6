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
      module: has `make(name, *, norm, recompute)`, which gives the backbone; with `dilates`, `output_stride` too.
      summary: what it is, for help and documentation.
      dilates: whether its output stride can be chosen.
      norms: whether its norm can be chosen; transformers have layer normalisation.
    """

    module: str
    summary: str
    dilates: bool = False
    norms: bool = True


_ATROUS_RESNET = "msda_tf.models.backbones.atrous_resnet"
_LITE = "msda_tf.models.backbones.efficientnet_lite"
_MIT = "msda_tf.models.backbones.mit"
_DINOV2 = "msda_tf.models.backbones.dinov2"

BACKBONES: dict[str, Entry] = {
    "resnet101": Entry(_ATROUS_RESNET, "DeepLabV2's ResNet-101, the paper's"),
    "resnet50": Entry(_ATROUS_RESNET, "the same with 50 layers"),
    "tiny": Entry(_ATROUS_RESNET, "the same with few and narrow blocks: learns the miniature scenes on a CPU"),
    "efficientnet-lite4": Entry(_LITE, "the largest EfficientNet-Lite; no package of weights", dilates=True),
    "efficientnet-lite3": Entry(_LITE, "smaller; no package of weights", dilates=True),
    "efficientnet-lite2": Entry(_LITE, "smaller, with ImageNet weights as a package", dilates=True),
    "efficientnet-lite1": Entry(_LITE, "smaller, with ImageNet weights as a package", dilates=True),
    "efficientnet-lite0": Entry(
        _LITE, "the smallest, with ImageNet weights as a package: for a small GPU or a patient CPU", dilates=True
    ),
    "mit-b5": Entry(_MIT, "SegFormer's encoder, a transformer: the largest, DAFormer's", norms=False),
    "mit-b4": Entry(_MIT, "smaller", norms=False),
    "mit-b3": Entry(_MIT, "smaller", norms=False),
    "mit-b2": Entry(_MIT, "smaller", norms=False),
    "mit-b1": Entry(_MIT, "smaller", norms=False),
    "mit-b0": Entry(_MIT, "the smallest MiT", norms=False),
    "dinov2-l-registers": Entry(_DINOV2, "DINOv2's large transformer, with registers", norms=False),
    "dinov2-l": Entry(_DINOV2, "the same without registers", norms=False),
    "dinov2-b-registers": Entry(_DINOV2, "half as deep, with registers", norms=False),
    "dinov2-b": Entry(_DINOV2, "the same without registers", norms=False),
    "dinov2-s-registers": Entry(_DINOV2, "half as wide, with registers", norms=False),
    "dinov2-s": Entry(_DINOV2, "the same without registers", norms=False),
}


def make(name: str, *, norm: str, recompute: bool, output_stride: int = 8):
    """The backbone of this name with fresh weights: see `msda_tf.models.backbones.contract.Backbone`.

    Args:
      name: a key of `BACKBONES`.
      norm: of the layers after convolutions (see the knob of this name), where the backbone leaves a choice.
      recompute: in training, keep only the blocks' outputs and compute the rest again in the backward pass.
      output_stride: the stride at which dilation takes over, where the backbone leaves a choice.
    """
    entry = BACKBONES[name]
    options = {"output_stride": output_stride} if entry.dilates else {}
    return importlib.import_module(entry.module).make(name, norm=norm, recompute=recompute, **options)
