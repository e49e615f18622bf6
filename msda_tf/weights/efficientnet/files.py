"""Which files hold weights of an EfficientNet-Lite."""

import pathlib

from msda_tf import files
from msda_tf.errors import UsageError
from msda_tf.models.backbones.efficientnet_lite import SIZES, scaled
from msda_tf.weights import torch_file
from msda_tf.weights.conversion import Conversion
from msda_tf.weights.efficientnet import lite_package, torch_lite


def imagenet(backbone) -> pathlib.Path:
    """The file of ImageNet's weights in the installed package. See `lite_package.file`."""
    return lite_package.file(_size(_widths(backbone.stages)))


def convert(path: pathlib.Path, start: bytes, segmenter) -> Conversion | None:
    """Translates a Torch file; None if it is none.

    Raises:
      UsageError: it holds another network than an EfficientNet-Lite.
      MsdaError: it is damaged.
    """
    if not start.startswith((b"PK", b"\x80")):
        return None
    conversion = torch_lite.convert(path, torch_file.read(path))
    provenance = lite_package.provenance(files.sha256(path))
    if provenance:
        conversion.notes.append(provenance)
    return conversion


def check(path: pathlib.Path, conversion: Conversion, backbone) -> None:
    """Raises UsageError if the file holds an EfficientNet-Lite of another size."""
    found, own = [], _widths(backbone.stages)
    while (name := f"backbone/block_{len(found)}/project_conv/kernel") in conversion.candidates:
        found.append(conversion.candidates[name].value.shape[-1])
    if found != own:
        raise UsageError(
            f"{path} holds {_size(found)}, this network's backbone is {_size(own)}: choose the other backbone or "
            "another file"
        )


def _size(widths: list[int]) -> str:
    """The name of the size whose blocks have these output channels."""
    for name, factors in SIZES.items():
        if _widths(scaled(*factors)) == widths:
            return name
    return f"an EfficientNet-Lite of {len(widths)} blocks"


def _widths(stages) -> list[int]:
    """Output channels of every block."""
    return [stage.channels for stage in stages for _ in range(stage.repeats)]
