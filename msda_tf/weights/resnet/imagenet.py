"""keras.applications' ImageNet weights: the file in Keras' cache, or downloaded by Keras."""

import pathlib

from msda_tf.errors import UsageError
from msda_tf.models.backbones.atrous_resnet import DEPTHS, Depth
from msda_tf.weights.keras_cache import cached

URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"

# Backbone -> file and MD5, as keras.applications lists them (without the ImageNet classifier).
FILES = {
    "resnet50": ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5", "88cf7a10940856eca736dc7b7e228a21"),
}


def file(depth: Depth) -> pathlib.Path:
    """Path of the weights for a backbone.

    Raises:
      UsageError: there are none for this backbone.
      MsdaError: they are neither in the cache nor can they be downloaded, or the file there is damaged.
    """
    name = next((name for name in FILES if DEPTHS[name] == depth), None)
    if name is None:
        raise UsageError(
            f"there are no ImageNet weights for this backbone, only for {' and '.join(FILES)}: start it from random "
            "weights (init=none), or from a run"
        )
    file_name, md5 = FILES[name]
    return cached(URL + file_name, md5, otherwise="name another file with --init PATH, or --init none")
