"""keras.applications' ResNets: biases, epsilon and channel order folded away."""

import re

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.weights.conversion import Candidate, Conversion

KERAS_EPSILON = 1.001e-5
OWN_EPSILON = 1e-5

# In Keras' blocks 0 is the shortcut; its stages are numbered from conv2 on, its blocks from 1 on.
_BLOCK = re.compile(r"conv([2-5])_block(\d+)_([0-3])_(conv|bn)")


def convert(path, tensors: dict[str, np.ndarray]) -> Conversion:
    """Translates the tensors that `msda_tf.weights.keras_file.read` gives.

    BatchNorm computes `(W x + b - mean) / sqrt(variance + 1.001e-5)`: b goes into the mean, and the difference of the
    epsilons into the variance, so that the outcome is the same.

    Raises:
      UsageError: it is a ResNetV2, another network.
    """
    if any("_preact_" in name for name in tensors):
        raise UsageError(f"{path} is a ResNetV2, another network: ResNet50 or ResNet101 is needed")
    conversion = Conversion("keras.applications ResNet")
    for name, value in tensors.items():
        layer, tensor = name.split("/")
        own = _own_layer(layer)
        if own is None:
            conversion.unused.append(name)
            continue
        variable = f"backbone/{own}/{tensor}"
        if tensor == "bias":
            if f"{_norm(layer)}/moving_mean" not in tensors:
                conversion.unused.append(name)
        elif variable == "backbone/conv1/kernel":
            # Keras feeds BGR, as Caffe did.
            conversion.candidates[variable] = Candidate(value[:, :, ::-1], name, "folded")
        elif tensor == "moving_mean":
            bias = f"{_convolution(layer)}/bias"
            folded, key = (value - tensors[bias], f"{name} - {bias}") if bias in tensors else (value, name)
            conversion.candidates[variable] = Candidate(folded, key, "folded" if bias in tensors else "copied")
        elif tensor == "moving_variance":
            folded = (value.astype(np.float64) + (KERAS_EPSILON - OWN_EPSILON)).astype(np.float32)
            conversion.candidates[variable] = Candidate(folded, name, "folded")
        else:
            conversion.candidates[variable] = Candidate(value, name, "copied")
    return conversion


def _own_layer(layer: str) -> str | None:
    if layer in ("conv1_conv", "conv1_bn"):
        return {"conv1_conv": "conv1", "conv1_bn": "bn1"}[layer]
    match = _BLOCK.fullmatch(layer)
    if match is None:
        return None
    stage, block, number, kind = match.groups()
    name = f"downsample_{kind}" if number == "0" else f"{kind}{number}"
    return f"layer{int(stage) - 1}_{int(block) - 1}/{name}"


def _norm(convolution: str) -> str:
    return convolution.removesuffix("conv") + "bn"


def _convolution(norm: str) -> str:
    return norm.removesuffix("bn") + "conv"
