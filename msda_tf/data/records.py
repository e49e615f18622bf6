"""One example <-> one serialized `tf.train.Example`, under DeepLab's feature keys.

The keys are those that DeepLab, deeplab2 and tf-models-official read, so the shards serve their models too:

  image/encoded                      bytes   PNG or JPEG of the RGB image
  image/filename                     bytes   the image's path inside its data set
  image/format                       bytes   b"png" or b"jpeg"
  image/height, image/width          int64   pixels
  image/channels                     int64   3
  image/segmentation/class/encoded   bytes   8-bit greyscale PNG of trainIds, 255 = ignore (absent if unlabelled)
  image/segmentation/class/format    bytes   b"png" (absent if unlabelled)

Nothing here loads TensorFlow: the message is described to protobuf directly, so that converting stays light.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory


@dataclass(frozen=True)
class Record:
    """One image with its label, both still encoded.

    Attributes:
      filename: the image's path inside its data set, with forward slashes; bytes that are no UTF-8, which Linux allows
        in names, as lone surrogates (PEP 383).
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


def _example_class():
    """The message class of `tf.train.Example`: tensorflow/core/example/{example,feature}.proto, field by field."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")

    def describe(owner, name: str, fields: list[tuple]) -> None:
        described = owner.add(name=name)
        for number, (field, label, kind, type_name) in enumerate(fields, start=1):
            described.field.add(name=field, number=number, label=label, type=kind, type_name=type_name)

    one, many, nested = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED, kinds.TYPE_MESSAGE
    describe(file.message_type, "BytesList", [("value", many, kinds.TYPE_BYTES, None)])
    describe(file.message_type, "FloatList", [("value", many, kinds.TYPE_FLOAT, None)])
    describe(file.message_type, "Int64List", [("value", many, kinds.TYPE_INT64, None)])
    lists = [("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")]
    describe(
        file.message_type, "Feature", [(field, one, nested, f".tensorflow.{list_type}") for field, list_type in lists]
    )
    feature = file.message_type[-1]
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    entries = ".tensorflow.Features.FeatureEntry"
    describe(file.message_type, "Features", [("feature", many, nested, entries)])
    features = file.message_type[-1]
    describe(
        features.nested_type,
        "FeatureEntry",
        [("key", one, kinds.TYPE_STRING, None), ("value", one, nested, ".tensorflow.Feature")],
    )
    features.nested_type[-1].options.map_entry = True
    describe(file.message_type, "Example", [("features", one, nested, ".tensorflow.Features")])
    # A pool of its own: TensorFlow registers the same names in protobuf's default pool.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_Example = _example_class()


def to_example(record: Record) -> bytes:
    """The serialized `tf.train.Example`; the same record always gives the same bytes."""
    example = _Example()
    feature = example.features.feature
    values = {
        "image/encoded": record.image,
        "image/filename": record.filename.encode("utf-8", "surrogateescape"),
        "image/format": record.image_format.encode(),
        "image/height": record.height,
        "image/width": record.width,
        "image/channels": 3,
    }
    if record.label is not None:
        values["image/segmentation/class/encoded"] = record.label
        values["image/segmentation/class/format"] = b"png"
    for key, value in values.items():
        kind = feature[key].bytes_list if isinstance(value, bytes) else feature[key].int64_list
        kind.value.append(value)
    return example.SerializeToString(deterministic=True)


def from_example(serialized: bytes) -> Record:
    """The inverse of `to_example`.

    Raises:
      ValueError: the bytes are not an example, or it lacks a key.
    """
    example = _Example()
    try:
        example.ParseFromString(serialized)
    except message.DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from None
    feature = example.features.feature

    def single(key: str, kind: str):
        values = getattr(feature[key], kind).value if key in feature else ()
        if len(values) != 1:
            raise ValueError(f"the example has no {key}")
        return values[0]

    label_key = "image/segmentation/class/encoded"
    return Record(
        filename=single("image/filename", "bytes_list").decode("utf-8", "surrogateescape"),
        image=single("image/encoded", "bytes_list"),
        image_format=single("image/format", "bytes_list").decode(),
        height=single("image/height", "int64_list"),
        width=single("image/width", "int64_list"),
        label=single(label_key, "bytes_list") if label_key in feature else None,
    )


class Payload(Protocol):
    """Bytes of a record that are read as they are asked for; `bytes` are one, too."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> bytes: ...


def filename(payload: Payload) -> bytes | None:
    """The `image/filename` of a serialized example, read past the images, which are all but a few hundred bytes of it.

    Protocol buffers' wire format (protobuf.dev, "Encoding"): an example is field 1, its features; these are field 1,
    once for each pair of a key (field 1) and a feature (field 2), which holds field 1, a list, which holds field 1.

    Returns:
      the name, or None if there is none or the payload is damaged.
    """
    try:
        for begin, end in _fields(payload, *next(_fields(payload, 0, len(payload), 1)), 1):
            key_begin, key_end = next(_fields(payload, begin, end, 1))
            if payload[key_begin:key_end] == b"image/filename":
                for number in (2, 1, 1):
                    begin, end = next(_fields(payload, begin, end, number))
                return payload[begin:end]
    except (IndexError, StopIteration):
        pass
    return None


def _fields(payload: Payload, begin: int, end: int, number: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of every field of this number in a message, which holds fields with a length alone."""
    while begin < end:
        tag, begin = _varint(payload, begin)
        length, begin = _varint(payload, begin)
        if tag & 7 != 2 or begin + length > end:
            raise IndexError
        if tag >> 3 == number:
            yield begin, begin + length
        begin += length


def _varint(payload: Payload, begin: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where it ends."""
    value = 0
    for index, byte in enumerate(payload[begin : begin + 10]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, begin + index + 1
    raise IndexError
