"""Families of backbones, and who reads the weight files that others made for them.

A further family is a folder or file beside this one, and a line here. Its module has three functions:

  imagenet(backbone) -> path of a file of ImageNet's weights, fetched if need be.
  convert(path, start, segmenter) -> `Conversion` of a file that begins with the bytes `start`, or None if it holds
    nothing that this family knows; weights of a relative that do not fit raise UsageError.
  check(path, conversion, backbone) raises UsageError if the file holds another size of the family.
"""

import importlib

FAMILIES: dict[str, str] = {
    "resnet": "msda_tf.weights.resnet.files",
    "efficientnet-lite": "msda_tf.weights.efficientnet.files",
    "mit": "msda_tf.weights.mit.files",
    "dinov2": "msda_tf.weights.dinov2.files",
}


def of(backbone):
    """The module of a backbone's family."""
    return importlib.import_module(FAMILIES[backbone.family])
