"""Smaller and faster networks for serving: BatchNorm folded into convolutions, kernels kept in 16 bits."""

import contextlib

import keras
import tensorflow as tf

from msda_tf.errors import UsageError
from msda_tf.inference.members import Inference
from msda_tf.models.segmenter import MultiSourceSegmenter


def fold_batch_norm(segmenter: MultiSourceSegmenter) -> None:
    """Folds every BatchNorm of the backbone into the convolution before it; the outputs stay the same up to rounding.

    Raises:
      UsageError: the network has GroupNorm or is a transformer: their scales depend on the image.
    """
    pairs = segmenter.backbone.foldable()
    if not pairs:
        raise UsageError("the network has no BatchNorm (but GroupNorm, or a transformer's): there is nothing to fold")
    for convolution, norm in pairs:
        norm.fold_into(convolution)


def stored(inference: Inference, dtype: str) -> list[tuple[keras.Variable, tf.Variable]]:
    """The kernels that inference uses, each with a copy in another type; none for float32, in which they are."""
    if dtype == "float32":
        return []
    layers = []
    for member in inference.members:
        module = member.segmenter.module(member.level)
        classifiers = [module.classifiers[module.branches.index(name)] for name in member.branches.values()]
        shared = [] if module.decoder.trunk is None else [module.decoder.trunk]
        layers += [member.segmenter.backbone, *shared, *classifiers]
    kernels = [variable for layer in layers for variable in layer.variables if len(variable.shape) > 1]
    return [
        (kernel, tf.Variable(tf.cast(kernel.value, dtype), trainable=False, name=kernel.path)) for kernel in kernels
    ]


def converted(copies: list[tuple[keras.Variable, tf.Variable]]):
    """A block (inside a function being traced) in which networks compute with these copies instead of the kernels."""
    if not copies:
        return contextlib.nullcontext()
    return keras.StatelessScope([(kernel, tf.cast(copy, kernel.dtype)) for kernel, copy in copies])
