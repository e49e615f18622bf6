"""Setting this project's networks from a Torch state dict, tensor by tensor, without the library's importers."""

import functools

import keras
import numpy as np

from msda_tf.models.backbones.atrous_resnet import AtrousResNet, Depth
from msda_tf.models.segmenter import MultiSourceSegmenter

SMALL = Depth(blocks=(1, 2, 3, 2), planes=(8, 12, 16, 20), stem=8)
"""A ResNet small enough for a test, with every kind of block (blocks and planes all differ between stages)."""


def resnet(depth: Depth) -> functools.partial:
    """What makes a segmenter's backbone of this size."""
    return functools.partial(AtrousResNet, depth)


def small_segmenter(**options) -> MultiSourceSegmenter:
    """A network of the size `SMALL` with its variables: one branch, 19 classes, no discriminator unless said."""
    depth = options.pop("backbone", SMALL)
    options = {"branches": ("S1",), "discriminators": "none", **options}
    segmenter = MultiSourceSegmenter(backbone=resnet(depth), **options)
    segmenter.create_variables()
    return segmenter


def torch_name(path: str, branches: tuple[str, ...]) -> str:
    """The Torch name of a segmenter's variable; of a discriminator, `<level>.<branch>.<layer>.<tensor>`."""
    _, part, *names = path.split("/")
    tensor = {
        "kernel": "weight",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    if part == "backbone":
        *layers, last = names
        layers = [layer.replace("_", ".", 1) if layer.startswith("layer") else layer for layer in layers]
        layers = [
            layer.replace("downsample_conv", "downsample.0").replace("downsample_bn", "downsample.1")
            for layer in layers
        ]
        return ".".join([*layers, tensor[last]])
    layer, last = names
    kind, number = last.split("_")
    kind = {"kernel": "weight", "bias": "bias"}[kind]
    if layer.startswith("discriminator_"):
        # Every second layer of the Torch discriminator is a LeakyReLU.
        return f"{part}.{layer.removeprefix('discriminator_')}.{2 * int(number)}.{kind}"
    position = branches.index(layer)
    level = {"feature": "layer5", "output": "layer6"}[part]
    return f"{level}{f'_{position}' if position else ''}.conv2d_list.{number}.{kind}"


def torch_layout(value: np.ndarray) -> np.ndarray:
    """HWIO kernels to Torch's OIHW; everything else as it is."""
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value


def keras_layout(value: np.ndarray) -> np.ndarray:
    """Torch's OIHW kernels to HWIO; everything else as it is."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value


def torch_shapes(segmenter: MultiSourceSegmenter) -> dict[str, tuple[int, ...]]:
    """Torch names and shapes of all variables."""
    return {
        torch_name(variable.path, segmenter.branches): torch_layout(np.empty(variable.shape)).shape
        for variable in segmenter.variables
    }


def set_weights(segmenter: MultiSourceSegmenter, state: dict[str, np.ndarray]) -> None:
    """Sets every variable of the network; a missing name is an error."""
    for variable in segmenter.variables:
        variable.assign(keras_layout(state[torch_name(variable.path, segmenter.branches)]))


def relative_error(actual, expected) -> float:
    """Euclidean norm of the difference over that of the expected values."""
    actual, expected = keras.ops.convert_to_numpy(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    norm = np.linalg.norm(expected.astype(np.float64))
    assert norm > 0
    return float(np.linalg.norm(actual.astype(np.float64) - expected) / norm)
