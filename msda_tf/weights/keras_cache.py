"""Weight files that keras.applications publishes: in Keras' cache, or downloaded by Keras."""

import hashlib
import os
import pathlib

import keras

from msda_tf.errors import MsdaError


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
