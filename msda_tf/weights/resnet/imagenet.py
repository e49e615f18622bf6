"""keras.applications' ImageNet weights: the file in Keras' cache, or downloaded by Keras."""

import hashlib
import os
import pathlib

import keras

from msda_tf.errors import MsdaError, UsageError
from msda_tf.models.backbones.atrous_resnet import DEPTHS, Depth

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


def cached(url: str, md5: str, *, otherwise: str) -> pathlib.Path:
    """Path of one of keras.applications' weight files, downloaded by Keras if it is not in its cache.

    Args:
      url: where Keras gets it.
      md5: of the whole file.
      otherwise: what the user can do without it, for the error message.

    Raises:
      MsdaError: it is neither in the cache nor can it be downloaded, or the file there is damaged.
    """
    file_name = url.rsplit("/", 1)[1]
    cache = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras")
    path = cache / "models" / file_name
    if path.exists():
        with open(path, "rb") as content:
            found = hashlib.file_digest(content, "md5").hexdigest()
        if found != md5:
            raise MsdaError(f"{path} is damaged (MD5 {found}, expected {md5}): delete it and get {url} again")
        return path
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return pathlib.Path(
            keras.utils.get_file(file_name, url, cache_dir=str(cache), cache_subdir="models", file_hash=md5)
        )
    except Exception as error:  # Keras raises a bare Exception when the network fails
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].split(" -- ")[-1]
        raise MsdaError(
            f"no ImageNet weights: {url} cannot be downloaded ({reason}); download it elsewhere to {path}, or "
            f"{otherwise}"
        ) from None
