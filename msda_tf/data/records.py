"""One example <-> one serialized `tf.train.Example`, under DeepLab's feature keys.

The keys are those that DeepLab, deeplab2 and tf-models-official read, so the shards serve their models too:

  image/encoded                      bytes   PNG or JPEG of the RGB image
  image/filename                     bytes   the image's path inside its data set
  image/format                       bytes   b"png" or b"jpeg"
  image/height, image/width          int64   pixels
  image/channels                     int64   3
  image/segmentation/class/encoded   bytes   8-bit greyscale PNG of trainIds, 255 = ignore (absent if unlabelled)
  image/segmentation/class/format    bytes   b"png" (absent if unlabelled)
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """One image with its label, both still encoded.

    Attributes:
      filename: the image's path inside its data set, with forward slashes.
      image: bytes of a PNG or JPEG file (RGB).
      image_format: "png" or "jpeg".
      height, width: of the image, in pixels.
      label: bytes of an 8-bit greyscale PNG of trainIds (255 = ignore) at the image's size; None if unlabelled.
    """

    filename: str
    image: bytes
    image_format: str
    height: int
    width: int
    label: bytes | None = None


def to_example(record: Record) -> bytes:
    """The serialized `tf.train.Example`; the same record always gives the same bytes."""
    import tensorflow as tf  # Only the protocol buffer is needed; the converters' workers call this once each.

    def bytes_feature(value: bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def int_feature(value: int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    feature = {
        "image/encoded": bytes_feature(record.image),
        "image/filename": bytes_feature(record.filename.encode()),
        "image/format": bytes_feature(record.image_format.encode()),
        "image/height": int_feature(record.height),
        "image/width": int_feature(record.width),
        "image/channels": int_feature(3),
    }
    if record.label is not None:
        feature["image/segmentation/class/encoded"] = bytes_feature(record.label)
        feature["image/segmentation/class/format"] = bytes_feature(b"png")
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def from_example(serialized: bytes) -> Record:
    """The inverse of `to_example`.

    Raises:
      ValueError: the bytes are not an example, or it lacks a key.
    """
    import tensorflow as tf

    example = tf.train.Example()
    try:
        example.ParseFromString(serialized)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise ValueError(f"not a tf.train.Example: {error}") from None
    feature = example.features.feature

    def single(key: str, kind: str):
        values = getattr(feature[key], kind).value if key in feature else ()
        if len(values) != 1:
            raise ValueError(f"the example has no {key}")
        return values[0]

    label_key = "image/segmentation/class/encoded"
    return Record(
        filename=single("image/filename", "bytes_list").decode(),
        image=single("image/encoded", "bytes_list"),
        image_format=single("image/format", "bytes_list").decode(),
        height=single("image/height", "int64_list"),
        width=single("image/width", "int64_list"),
        label=single(label_key, "bytes_list") if label_key in feature else None,
    )
