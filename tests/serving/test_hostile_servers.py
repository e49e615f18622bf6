"""Clients against servers that feed, stall and lie: a bounded answer, in bounded time, or one line."""

import contextlib
import io
import json
import math
import resource
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.serving.client import query, retry
from msda_tf.serving.client.rest import RestClient

HEIGHT, WIDTH = 5, 7
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def image():
    file = io.BytesIO()
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(file, "png")
    return file.getvalue()


@contextlib.contextmanager
def server(behave):
    """Yields the URL of a server that gives each connection, its request read, to `behave`."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            while b"\r\n\r\n" not in connection.recv(1 << 16):
                pass
            behave(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/models/msda"
    finally:
        listening.close()


def answering(value, code=b"200 OK"):
    """A server that answers one thing."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()

    def behave(connection):
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (code, len(content)) + content)

    return server(behave)


def outputs(**changes):
    labels = np.zeros((1, HEIGHT, WIDTH), int).tolist()
    return {"outputs": {"label_map": labels, **changes}}


def test_an_endless_answer_is_not_read(image):
    sent = 0

    def feed(connection):
        nonlocal sent
        connection.sendall(OK + b'\r\n{"outputs": [')
        while True:
            sent += connection.send(b"0, " * 10000)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with server(feed) as url, pytest.raises(MsdaError, match=r"answers more than 0\.1 MB, which no label map"):
        RestClient(url).predict([image])
    time.sleep(0.2)
    assert sent < 20e6  # what the sockets' buffers take
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def drip(beginning, part):
    def behave(connection):
        connection.sendall(beginning)
        for _ in range(600):
            connection.sendall(part)
            time.sleep(0.05)

    return behave


@pytest.mark.parametrize(
    "behave",
    [
        drip(OK + b"Content-Length: 1000000\r\n\r\n", b" "),
        drip(OK, b"X: y\r\n"),
        drip(b"HTTP/1.1 200 OK", b"x"),
        drip(b"HTTP/1.1 404 Not Found\r\n\r\n", b"x"),
        drip(b"", b""),
    ],
    ids=["body", "headers", "status", "error", "nothing"],
)
def test_an_answer_that_drips_does_not_outlive_the_deadline(image, behave):
    began = time.monotonic()
    with server(behave) as url, pytest.raises(MsdaError, match="did not answer in 0.4 s|answers 404: Not Found"):
        RestClient(url, timeout=0.4).predict([image])
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"[" * 60_000, "no msda-tf model"),
        (b'{"outputs": ' + b"[" * 100 + b"]" * 100 + b"}", "no msda-tf model"),
        (b'{"outputs": [' + b"[]," * 2000 + b"[]]}", "no msda-tf model"),
        (b'{"outputs": [' + b"9" * 5000 + b"]}", "no msda-tf model"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a page of HTML, which no msda-tf model"),
        (b"\xff\xfe\x00", "no msda-tf model"),
        (b"", "no msda-tf model"),
        (b"null", "no msda-tf model"),
        (outputs(label_map=[[[0.5] * WIDTH] * HEIGHT]), "no msda-tf model"),
        (outputs(label_map=[[[True] * WIDTH] * HEIGHT]), "no msda-tf model"),
        (outputs(label_map=[[["0"] * WIDTH] * HEIGHT]), "no msda-tf model"),
        (outputs(label_map=[[[-1] * WIDTH] * HEIGHT]), "no msda-tf model"),
        (outputs(label_map=[[[0] * HEIGHT] * WIDTH]), "no label map of the image's size"),
        (outputs(label_map=[[[0] * WIDTH, [0]]]), "no msda-tf model"),
        (outputs(color_map=[[[0] * WIDTH] * HEIGHT]), "color_map is not of the image's size"),
        (outputs(color_map=[[[[0] * 4] * WIDTH] * HEIGHT]), "color_map is not of the image's size"),
        (outputs(color_map=7), "color_map is not of the image's size"),
        (outputs(confidence=[[[7] * WIDTH] * HEIGHT]), "no probability for each pixel"),
        (outputs(confidence=[[[math.nan] * WIDTH] * HEIGHT]), "no probability for each pixel"),
        (outputs(confidence=[0.5]), "no probability for each pixel"),
        (outputs(confidence="sure"), "no msda-tf model"),
    ],
)
def test_what_no_model_answers_is_one_line_and_nothing_is_written(image, tmp_path, answer, message):
    (tmp_path / "a.png").write_bytes(image)
    with answering(answer) as url:
        (failed,) = query.query(RestClient(url), tmp_path / "a.png", tmp_path / "out")
    assert message in failed and "\n" not in failed and len(failed) < 400
    assert not list((tmp_path / "out").rglob("*.png"))


def test_other_outputs_are_left_alone_and_colours_are_the_models(image, tmp_path):
    (tmp_path / "a.png").write_bytes(image)
    colors = [[[[9, 8, 7]] * WIDTH] * HEIGHT]
    with answering(outputs(color_map=colors, extra=["x"], confidence=[[[1] * WIDTH] * HEIGHT])) as url:
        assert query.query(RestClient(url), tmp_path / "a.png", tmp_path / "out") == []
    assert Image.open(tmp_path / "out/colors/a.png").getpixel((0, 0)) == (9, 8, 7)
    assert Image.open(tmp_path / "out/confidence/a.png").getpixel((0, 0)) == 255
    assert CITYSCAPES_CLASSES.colors[0] != (9, 8, 7)


@pytest.mark.parametrize(
    ("code", "answer", "message"),
    [
        (b"500 Oh", b"<html><h1>Internal\n Error</h1></html>", "answers 500: Oh"),
        (b"500 Oh", b"[" * 50_000, r"answers 500: \[\["),
        (b"400 Bad", {"error": "\x1b[31m\nred"}, r"answers 400: \\x1b\[31m red"),
        (b"400 Bad", {"error": {"a": [1]}}, r"answers 400: \{'a': \[1\]\}"),
        (b"302 Found\r\nLocation: file:///etc/passwd", b"", "answers 302: Found"),
        (b"204 No Content", b"", "no msda-tf model"),
    ],
)
def test_errors_of_servers_are_one_line(image, code, answer, message):
    with answering(answer, code) as url, pytest.raises(MsdaError, match=message) as caught:
        RestClient(url).predict([image])
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700


def test_what_is_no_http_at_all(image):
    with server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n")) as url:
        with pytest.raises(retry.Unavailable, match="cannot be reached"):
            RestClient(url).predict([image])
        with pytest.raises(MsdaError, match="cannot be reached"):
            RestClient(url.replace("http", "https"), timeout=1).predict([image])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8501/v1/models/m",
        "http:///v1/models/m",
        "http://:8501/v1/models/m",
        "http://host:99999/v1/models/m",
        "http://host:x/v1/models/m",
        "http://[::1/v1/models/m",
        "http://ho st/v1/models/m",
        "http://host/v1",
        "ftp://host/v1/models/m",
        "http://me:secret@host/v1/models/m",
    ],
)
def test_addresses_that_are_none_are_refused_at_once(url):
    with pytest.raises(UsageError) as caught:
        RestClient(url)
    assert "secret" not in str(caught.value)


def test_names_of_models_are_quoted(image):
    asked = []

    def listen(connection):
        connection.sendall(OK + b"\r\n{}")

    with server(listen) as url, pytest.raises(MsdaError):
        RestClient(url.replace("msda", "größe x\r\nHost: evil")).predict([image])
    client = RestClient("http://host/v1/models/größe x/versions/3:predict")
    assert client.url == "http://host/v1/models/gr%C3%B6%C3%9Fe%20x/versions/3" and not asked
    with pytest.raises(MsdaError, match="cannot be reached"):
        RestClient(f"http://{'x' * 70}.test/v1/models/m", timeout=2).predict([image])


class TestGrpc:
    """The same of gRPC, whose messages are small and may stand for large tensors."""

    @pytest.fixture
    def ask(self, image):
        """Gives (a function of a PredictResponse that asks a server which answers it)."""
        grpc = pytest.importorskip("grpc")
        apis = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
        import concurrent.futures

        from msda_tf.serving.client.grpc_client import GrpcClient

        def ask(response, timeout=20.0):
            class Service(apis.PredictionServiceServicer):
                def Predict(self, request, context):
                    return response() if callable(response) else response

            # Reflection of everything that the service gives, whatever its size.
            options = [("grpc.max_send_message_length", -1)]
            running = grpc.server(concurrent.futures.ThreadPoolExecutor(1), options=options)
            apis.add_PredictionServiceServicer_to_server(Service(), running)
            port = running.add_insecure_port("127.0.0.1:0")
            running.start()
            try:
                return GrpcClient(f"127.0.0.1:{port}", model="m", timeout=timeout).predict([image])
            finally:
                running.stop(None)

        return ask

    @staticmethod
    def response(**tensors):
        predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
        answer = predict_pb2.PredictResponse()
        for name, tensor in tensors.items():
            answer.outputs[name].CopyFrom(tensor)
        return answer

    def test_one_value_does_not_stand_for_gigabytes(self, ask):
        import tensorflow as tf

        tensor = tf.make_tensor_proto(np.zeros(1, np.uint8))
        del tensor.tensor_shape.dim[:]
        for size in (1, 100_000, 100_000):
            tensor.tensor_shape.dim.add().size = size
        with pytest.raises(MsdaError, match=r"no msda-tf model does \(a shape of \[1, 100000, 100000\]\)"):
            ask(self.response(label_map=tensor))
        for sizes in ((-1,), (2**62, 2**62)):
            del tensor.tensor_shape.dim[:]
            for size in sizes:
                tensor.tensor_shape.dim.add().size = size
            with pytest.raises(MsdaError, match="a shape of"):
                ask(self.response(label_map=tensor))

    def test_other_types_and_sizes(self, ask):
        import tensorflow as tf

        with pytest.raises(MsdaError, match="values of type float32"):
            ask(self.response(label_map=tf.make_tensor_proto(np.zeros((1, HEIGHT, WIDTH), np.float32))))
        short = tf.make_tensor_proto(np.zeros((1, HEIGHT, WIDTH), np.uint8))
        short.tensor_content = b"x"
        with pytest.raises(MsdaError, match="no msda-tf model"):
            ask(self.response(label_map=short))
        assert ask(self.response(other=short)) == {}

    def test_a_large_answer_is_not_taken_and_not_asked_for_again(self, ask):
        import tensorflow as tf

        large = self.response(other=tf.make_tensor_proto(np.zeros(1_000_000, np.uint8)))
        with pytest.raises(MsdaError, match="too large") as caught:
            ask(large)
        assert not isinstance(caught.value, retry.Unavailable)

    def test_a_deadline(self, ask):
        with pytest.raises(MsdaError, match="did not answer in 0.3 s"):
            ask(lambda: time.sleep(1) or self.response(), timeout=0.3)

    @pytest.mark.parametrize("address", ["http://host:8500", "a b", "", "host\n"])
    def test_addresses(self, address):
        from msda_tf.serving.client.grpc_client import GrpcClient

        with pytest.raises(UsageError, match="no gRPC address"):
            GrpcClient(address, model="m")
