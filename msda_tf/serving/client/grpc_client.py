"""Client of TensorFlow Serving's gRPC interface: several times faster than REST, whose answers are text.

Needs the extra `serving` (tensorflow-serving-api).
"""

import math

import numpy as np

from msda_tf.errors import MsdaError, UsageError
from msda_tf.serving.client import bounds
from msda_tf.serving.client.retry import Unavailable

# A pixel's class, colour and probability, however the server packs them.
_BYTES_OF_A_PIXEL, _BYTES_OF_THE_REST = 16, 1 << 16


class GrpcClient:
    """A model behind a gRPC interface.

    Args:
      address: `host:8500`.
      model: the name under which the server knows it.
      timeout: seconds that a request may take, to the last byte of its answer.

    Raises:
      UsageError: the address is not of that form, or the extra `serving` is not installed.
    """

    def __init__(self, address: str, *, model: str, timeout: float = 60.0):
        if "://" in address or not address.isprintable() or " " in address or not address:
            raise UsageError(f"{address} is no gRPC address: expected HOST:PORT, such as localhost:8500")
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError:
            raise UsageError(
                "gRPC needs tensorflow-serving-api: pip install 'msda-tf[serving]', or use --url"
            ) from None
        self.address, self.model, self.timeout = address, model, timeout
        self._grpc, self._messages = grpc, predict_pb2
        self._service, self._channel, self._most = prediction_service_pb2_grpc.PredictionServiceStub, None, 0

    def predict(self, images: list[bytes]) -> dict[str, np.ndarray]:
        """Sends PNG or JPEG files of one size; see `RestClient.predict`."""
        import tensorflow as tf

        request = self._messages.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = "serving_bytes"
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(images, tf.string))
        pixels = sum(height * width for height, width in bounds.sizes(images))
        try:
            response = self._stub(pixels).Predict(request, timeout=self.timeout)
        except self._grpc.RpcError as error:
            raise self._explained(error) from None
        try:
            return {
                name: _array(response.outputs[name], dtype, 3 * pixels)
                for name, dtype in bounds.OUTPUTS.items()
                if name in response.outputs
            }
        except (ValueError, TypeError) as error:
            raise MsdaError(f"{self.address} answers what no msda-tf model does ({error})") from None

    def _stub(self, pixels: int):
        """Takes answers as large as those of images of that many pixels can be: the default is 4 MB."""
        most = _BYTES_OF_THE_REST + _BYTES_OF_A_PIXEL * pixels
        if self._channel is None or most > self._most:
            if self._channel is not None:
                self._channel.close()
            options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", most)]
            self._channel, self._most = self._grpc.insecure_channel(self.address, options=options), most
        return self._service(self._channel)

    def _explained(self, error) -> MsdaError:
        codes, code = self._grpc.StatusCode, error.code()
        details = " ".join((error.details() or "").split())[:500]
        if code is codes.RESOURCE_EXHAUSTED and "larger than max" in details:
            return MsdaError(f"{self.address}: request or answer is too large: {details}")
        if code in (codes.UNAVAILABLE, codes.RESOURCE_EXHAUSTED):
            return Unavailable(f"{self.address} cannot answer now ({code.name}): {details}")
        if code is codes.DEADLINE_EXCEEDED:
            return MsdaError(f"{self.address} did not answer in {self.timeout:g} s: is it overloaded? (--timeout)")
        return MsdaError(f"{self.address}, model {self.model!r}, answers {code.name}: {details}")


def _array(tensor, dtype, most: int) -> np.ndarray:
    """A tensor's values; raises ValueError if it is of another type, or claims a larger size than `most` values.

    A single value may stand for a tensor of any size.
    """
    import tensorflow as tf

    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    if tf.dtypes.as_dtype(tensor.dtype).as_numpy_dtype != dtype:
        raise ValueError(f"values of type {tf.dtypes.as_dtype(tensor.dtype).name}")
    if min(sizes, default=0) < 0 or math.prod(sizes) > most:
        raise ValueError(f"a shape of {sizes}")
    return tf.make_ndarray(tensor)
