"""Client of TensorFlow Serving's gRPC interface: several times faster than REST, whose answers are text.

Needs the extra `serving` (tensorflow-serving-api).
"""

import numpy as np

from msda_tf.errors import MsdaError, UsageError
from msda_tf.serving.client.retry import Unavailable

_MOST_BYTES = 1 << 30


class GrpcClient:
    """A model behind a gRPC interface.

    Args:
      address: `host:8500`.
      model: the name under which the server knows it.
      timeout: seconds to wait for an answer.

    Raises:
      UsageError: the extra `serving` is not installed.
    """

    def __init__(self, address: str, *, model: str, timeout: float = 60.0):
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError:
            raise UsageError(
                "gRPC needs tensorflow-serving-api: pip install 'msda-tf[serving]', or use --url"
            ) from None
        self.address, self.model, self.timeout = address, model, timeout
        self._grpc, self._messages = grpc, predict_pb2
        # The default of 4 MB is less than one label map with its colours.
        limits = [("grpc.max_send_message_length", _MOST_BYTES), ("grpc.max_receive_message_length", _MOST_BYTES)]
        self._channel = grpc.insecure_channel(address, options=limits)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, images: list[bytes]) -> dict[str, np.ndarray]:
        """Sends PNG or JPEG files of one size; see `RestClient.predict`."""
        import tensorflow as tf

        request = self._messages.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = "serving_bytes"
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(images, tf.string))
        try:
            response = self._stub.Predict(request, timeout=self.timeout)
        except self._grpc.RpcError as error:
            raise self._explained(error) from None
        return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}

    def _explained(self, error) -> MsdaError:
        codes, code = self._grpc.StatusCode, error.code()
        details = " ".join((error.details() or "").split())[:500]
        if code in (codes.UNAVAILABLE, codes.RESOURCE_EXHAUSTED):
            return Unavailable(f"{self.address} cannot answer now ({code.name}): {details}")
        if code is codes.DEADLINE_EXCEEDED:
            return MsdaError(f"{self.address} did not answer in {self.timeout:g} s: is it overloaded? (--timeout)")
        return MsdaError(f"{self.address}, model {self.model!r}, answers {code.name}: {details}")
