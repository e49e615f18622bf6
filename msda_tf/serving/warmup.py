"""Warm-up requests: TensorFlow Serving runs them before a model takes traffic, so that its first request is fast.

The file is `assets.extra/tf_serving_warmup_requests` in the SavedModel: TFRecords of
`tensorflow.serving.PredictionLog` (tensorflow_serving/apis/prediction_log.proto). The messages hold nothing but
length-delimited fields, so they are put together here, without the package that defines them.
"""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from msda_tf.data import tfrecord

FILE_NAME = "tf_serving_warmup_requests"


def requests(size: tuple[int, int]) -> bytes:
    """The file's content: one request for each signature, with one plain image of (height, width)."""
    image = np.full((*size, 3), 128, np.uint8)
    png = io.BytesIO()
    Image.fromarray(image).save(png, "png")
    logs = [
        _prediction_log("serving_default", "images", image[None]),
        _prediction_log("serving_bytes", "image_bytes", np.array([png.getvalue()], object)),
    ]
    return b"".join(tfrecord.frame(log) for log in logs)


def _prediction_log(signature: str, name: str, value: np.ndarray) -> bytes:
    tensor = tf.make_tensor_proto(value).SerializeToString()
    model_spec = _field(3, signature.encode())
    inputs = _field(1, name.encode()) + _field(2, tensor)
    predict_request = _field(1, model_spec) + _field(2, inputs)
    predict_log = _field(1, predict_request)
    return _field(6, predict_log)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
