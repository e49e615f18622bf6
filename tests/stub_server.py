"""A stand-in for TensorFlow Serving: its REST and gRPC protocols over a SavedModel that it really runs.

Written after tensorflow.org/tfx/serving/api_rest and tensorflow_serving/apis/prediction_service.proto.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import threading
import time

import tensorflow as tf


class Model:
    """A SavedModel under a name, which may be told to misbehave.

    Attributes:
      directory: of the export.
      unavailable: how many of the next requests are answered with "unavailable".
      delay: seconds that an answer takes.
      garbage: what REST answers instead, or None.
    """

    def __init__(self, path, name="msda"):
        self.directory = path
        self.signatures, self.name = tf.saved_model.load(str(path)).signatures, name
        self.unavailable, self.delay, self.garbage, self.requests = 0, 0.0, None, 0

    def busy(self) -> bool:
        """Counts a request; whether it is to be turned away."""
        self.requests += 1
        if self.delay:
            time.sleep(self.delay)
        self.unavailable -= 1
        return self.unavailable >= 0

    def run(self, signature, inputs):
        """Outputs as arrays; raises KeyError for an unknown signature."""
        return {name: value.numpy() for name, value in self.signatures[signature](**inputs).items()}


@contextlib.contextmanager
def rest(model: Model):
    """Yields the model's URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if model.busy():
                self.answer(503, {"error": "The service is not available"})
            elif self.path != f"/v1/models/{model.name}:predict":
                self.answer(404, {"error": f"Servable not found for request: {self.path}"})
            elif model.garbage is not None:
                self.answer(200, model.garbage)
            else:
                try:
                    self.answer(200, self.predict(body))
                except tf.errors.OpError as error:
                    self.answer(400, {"error": error.message})

        def predict(self, body):
            inputs = {
                name: tf.constant([base64.b64decode(item["b64"]) for item in items])
                for name, items in body["inputs"].items()
            }
            outputs = {name: v.tolist() for name, v in model.run(body["signature_name"], inputs).items()}
            # TensorFlow Serving leaves the name of a single output out.
            return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}

        def answer(self, code, value):
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            with contextlib.suppress(OSError):  # the client has gone
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/{model.name}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def grpc_server(model: Model):
    """Yields the server's address."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            if model.busy():
                context.abort(grpc.StatusCode.UNAVAILABLE, "the model is loading")
            if request.model_spec.name != model.name:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request.model_spec.name}")
            inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
            try:
                outputs = model.run(request.model_spec.signature_name, inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)
