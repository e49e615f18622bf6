"""What of a raw data set and its storage decides which bytes a conversion writes."""

from msda_tf.data.writing.images import Storage
from msda_tf.image_files.headers import MAX_PIXELS

from ..readers.frames import RawDataset


def options_of(raw: RawDataset, storage: Storage, *, max_pixels: int = MAX_PIXELS) -> dict:
    """The options that decide which bytes are stored, by name."""
    options = {"dataset": raw.kind, "scale": storage.scale, "image_format": storage.image_format or "as it came"}
    if not (storage.keeps_bytes_always() or storage.image_format == "png"):
        options["jpeg_quality"] = storage.jpeg_quality
    if max_pixels != MAX_PIXELS:
        options["max_pixels"] = max_pixels
    return options | raw.rules
