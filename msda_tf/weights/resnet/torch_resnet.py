"""Torch's ResNets and DeepLabs: torchvision's, AdaptSegNet's (its starting weights and its snapshots) and relatives."""

import re

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.weights.conversion import Candidate, Conversion

DEEPLAB_RATES = (6, 12, 18, 24)
"""Dilation of the convolutions in a `conv2d_list`, in order."""

# What torchvision's networks are fed: RGB between 0 and 1, minus a mean, over these.
TORCHVISION_STD = (0.229, 0.224, 0.225)

_TENSORS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_BLOCK = re.compile(r"(layer[1-4])\.(\d+)\.(conv[123]|bn[123]|downsample\.[01])\.(\w+)")
_HEAD = re.compile(r"(layer[56])\.conv2d_list\.(\d+)\.(weight|bias)")


def convert(
    path, tensors: dict[str, np.ndarray], *, branches: tuple[str, ...], num_classes: int, rates: tuple[int, ...]
) -> Conversion:
    """Translates a state dict.

    Args:
      path: of the file, for errors.
      tensors: name -> array.
      branches, num_classes, rates: of the network that is to be started. Every branch gets the file's heads, if they
        have as many classes.

    Raises:
      UsageError: the names are not those of a ResNet with bottlenecks, or the input's scale is not known from them.
    """
    prefix = _prefix(path, tensors)
    own = {name.removeprefix(prefix): name for name in tensors if name.startswith(prefix)}
    kind = _kind(path, prefix, own, tensors)
    conversion = Conversion(kind)
    heads = {}
    for name, key in own.items():
        if name.endswith("num_batches_tracked"):
            continue
        variable = _backbone_variable(name)
        if variable is not None:
            value = tensors[key]
            if variable == "backbone/conv1/kernel":
                candidate = Candidate(_stem(value, kind), key, "folded")
            elif value.ndim == 4:
                candidate = Candidate(value.transpose(2, 3, 1, 0), key, "transposed")
            else:
                candidate = Candidate(value, key, "copied")
            conversion.candidates[variable] = candidate
        elif (match := _HEAD.fullmatch(name)) and kind == ADAPTSEGNET:
            heads[match[1], int(match[2]), match[3]] = key
        else:
            conversion.unused.append(key)
    conversion.unused += [n for n in tensors if not n.startswith(prefix) and not n.endswith("num_batches_tracked")]
    if heads:
        _convert_heads(conversion, heads, tensors, branches=branches, num_classes=num_classes, rates=rates)
    if kind == TORCHVISION:
        conversion.notes.append(
            "torchvision's stride sits on the 3x3 of a block, here (as in DeepLab) on the 1x1 before it: the first 3x3 "
            "of stages 2 to 4 sees taps twice as far apart as it was trained on"
        )
    return conversion


TORCHVISION = "torchvision ResNet"
ADAPTSEGNET = "AdaptSegNet snapshot"
DEEPLAB_INIT = "DeepLab starting weights"


def _prefix(path, tensors) -> str:
    """What stands before `conv1.weight`: "module.", "Scale.", "backbone." or nothing."""
    for name in tensors:
        prefix = name.removesuffix("conv1.weight")
        if prefix != name and f"{prefix}layer1.0.conv1.weight" in tensors:
            if f"{prefix}layer1.0.conv3.weight" not in tensors:
                raise UsageError(
                    f"{path} is a ResNet of basic blocks (18 or 34): one with bottlenecks (50, 101) is needed"
                )
            return prefix
    raise UsageError(
        f"{path} holds no ResNet (it has {', '.join(list(tensors)[:3])}; expected conv1.weight, layer1.0.conv1.weight, "
        "...)"
    )


def _kind(path, prefix, own, tensors) -> str:
    if prefix.endswith("Scale."):
        return DEEPLAB_INIT
    if any(name.startswith(("layer5.conv2d_list.", "layer6.conv2d_list.")) for name in own):
        return ADAPTSEGNET
    outside = prefix.removesuffix("backbone.")
    segmentation = prefix.endswith("backbone.") and any(name.startswith(f"{outside}classifier.") for name in tensors)
    if segmentation or any(name.startswith("fc.") for name in own):
        return TORCHVISION
    raise UsageError(
        f"{path} is a ResNet without classifier, so it does not tell which images it expects: torchvision's has "
        "fc.weight, AdaptSegNet's has layer5.conv2d_list or the prefix Scale."
    )


def _backbone_variable(name: str) -> str | None:
    if name == "conv1.weight":
        return "backbone/conv1/kernel"
    if name.startswith("bn1."):
        return f"backbone/bn1/{_TENSORS[name.removeprefix('bn1.')]}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return None
    stage, block, layer, tensor = match.groups()
    convolution = layer.startswith("conv") or layer == "downsample.0"
    layer = {"downsample.0": "downsample_conv", "downsample.1": "downsample_bn"}.get(layer, layer)
    return f"backbone/{stage}_{block}/{layer}/{'kernel' if convolution else _TENSORS[tensor]}"


def _stem(value: np.ndarray, kind: str) -> np.ndarray:
    """The first kernel, for RGB images minus their mean in 0-255."""
    kernel = value.transpose(2, 3, 1, 0)
    if kind == TORCHVISION:
        return kernel / (255 * np.asarray(TORCHVISION_STD, np.float32)[:, np.newaxis])
    return kernel[:, :, ::-1]  # AdaptSegNet feeds BGR


def _convert_heads(conversion, heads, tensors, *, branches, num_classes, rates):
    """AdaptSegNet's layer5 and layer6 to both levels' classifiers, by the width of the map that they read."""
    kernels = {
        level: tensors[key] for (level, number, tensor), key in heads.items() if (number, tensor) == (0, "weight")
    }
    classes = {kernel.shape[0] for kernel in kernels.values()}
    if classes != {num_classes}:
        conversion.unused += heads.values()
        conversion.notes.append(
            f"its classifiers have {', '.join(map(str, sorted(classes)))} classes, this network has {num_classes}: "
            "they start from random weights"
        )
        return
    # The multi-level network reads stage 3 with layer5 and stage 4 with layer6; the single-level one has one head.
    levels = {"layer5": "feature", "layer6": "output"} if len(kernels) == 2 else {next(iter(kernels)): "output"}
    for name, level in levels.items():
        untrained = _untrained(name, heads, tensors)
        if untrained:
            conversion.notes.append(
                f"{name}: the convolutions of rate {' and '.join(str(DEEPLAB_RATES[n]) for n in untrained)} still have "
                "their random start (AdaptSegNet's code never reaches them): set to zero, which is what it computes"
            )
        for (head, number, tensor), key in heads.items():
            if head != name:
                continue
            if number >= len(DEEPLAB_RATES) or DEEPLAB_RATES[number] not in rates:
                conversion.unused.append(key)
                continue
            value, how = tensors[key], "copied"
            if tensor == "weight":
                value, how = value.transpose(2, 3, 1, 0), "transposed"
            if number in untrained:
                value, how = np.zeros_like(value), "folded"
            own = f"{'kernel' if tensor == 'weight' else 'bias'}_{rates.index(DEEPLAB_RATES[number])}"
            for branch in branches:
                conversion.candidates[f"{level}/{branch}/{own}"] = Candidate(value, key, how)


def _untrained(head: str, heads, tensors) -> list[int]:
    """Numbers of the convolutions that are still N(0, 0.01), where the first two are not."""
    fresh = []
    for number in range(len(DEEPLAB_RATES)):
        key = heads.get((head, number, "weight"))
        if key is None:
            continue
        kernel = tensors[key].astype(np.float64)
        # Five standard errors of the deviation and of the mean.
        near = abs(kernel.std() / 0.01 - 1) < 5 / (2 * kernel.size) ** 0.5
        if near and abs(kernel.mean()) < 5 * 0.01 / kernel.size**0.5:
            fresh.append(number)
    return fresh if fresh == [2, 3] else []
