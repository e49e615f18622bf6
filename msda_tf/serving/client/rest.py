"""Client of TensorFlow Serving's REST interface (tensorflow.org/tfx/serving/api_rest)."""

import base64
import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from msda_tf.errors import MsdaError, UsageError
from msda_tf.serving.client import bounds
from msda_tf.serving.client.retry import Unavailable

# Too many requests, bad gateway, unavailable, gateway timeout: what servers and the proxies before them say when busy.
_BUSY = (429, 502, 503, 504)
# A pixel's class, colour and probability are 43 characters at most as TensorFlow Serving writes them.
_BYTES_OF_A_PIXEL, _BYTES_OF_THE_REST = 96, 1 << 16


class RestClient:
    """A model behind a REST interface.

    Args:
      url: of the model: `http://host:8501/v1/models/NAME`, with `/versions/N` behind it for a certain version.
      timeout: seconds that a request may take, to the last byte of its answer.

    Raises:
      UsageError: the URL is not of that form.
    """

    def __init__(self, url: str, *, timeout: float = 60.0):
        self.url, self.timeout = _checked(url), timeout
        self._opener = urllib.request.build_opener(_NoRedirects)

    def predict(self, images: list[bytes]) -> dict[str, np.ndarray]:
        """Sends PNG or JPEG files of one size.

        Returns:
          the model's outputs by name: `label_map` uint8 `[B, H, W]` and what else it was exported with.

        Raises:
          Unavailable: the server is not there or busy.
          MsdaError: it refuses the request, takes too long, or answers something else.
        """
        inputs = {"image_bytes": [{"b64": base64.b64encode(image).decode()} for image in images]}
        body = json.dumps({"signature_name": "serving_bytes", "inputs": inputs}).encode()
        request = urllib.request.Request(f"{self.url}:predict", body, {"Content-Type": "application/json"})
        sizes = bounds.sizes(images)
        limit = _BYTES_OF_THE_REST + _BYTES_OF_A_PIXEL * sum(height * width for height, width in sizes)
        until = time.monotonic() + self.timeout
        try:
            # The socket's own timeout comes first where it can: it knows whether there was a connection.
            content = bounds.within(self.timeout + 1, lambda: self._post(request, limit, until))
        except TimeoutError:
            raise MsdaError(f"{self.url} did not answer in {self.timeout:g} s: is it overloaded? (--timeout)") from None
        except (urllib.error.URLError, ConnectionError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise Unavailable(f"{self.url} cannot be reached in {self.timeout:g} s") from None
            kind = MsdaError if isinstance(reason, ssl.SSLError) else Unavailable
            raise kind(f"{self.url} cannot be reached: {reason or type(error).__name__}") from None
        except UnicodeError as error:  # a host name that the name system does not know how to ask for
            raise MsdaError(f"{self.url} cannot be reached: {error}") from None
        return self._outputs(content, sizes)

    def _post(self, request: urllib.request.Request, limit: int, until: float) -> bytes:
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                content = _read(response, limit + 1, until)
        except urllib.error.HTTPError as error:
            with error:
                kind = Unavailable if error.code in _BUSY else MsdaError
                raise kind(f"{self.url} answers {error.code}: {_reason(error, until)}") from None
        if len(content) > limit:
            raise MsdaError(
                f"{self.url} answers more than {limit / 1e6:.1f} MB, which no label map of this image takes: is it an "
                "msda-tf model?"
            )
        return content

    def _outputs(self, content: bytes, sizes: list[tuple[int, int]]) -> dict[str, np.ndarray]:
        if content.lstrip()[:1] == b"<":
            raise MsdaError(
                f"{self.url} answers a page of HTML, which no msda-tf model does: is it the REST address, or is a "
                "proxy between?"
            )
        try:
            _check_json(content, sizes)
            outputs = json.loads(content)["outputs"]
            # A single output comes without its name.
            outputs = outputs if isinstance(outputs, dict) else {"label_map": outputs}
            return {
                name: _array(outputs[name], dtype)
                for name, dtype in bounds.OUTPUTS.items()
                if outputs.get(name) is not None
            }
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise MsdaError(f"{self.url} answers what no msda-tf model does ({type(error).__name__})") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A request with its body cannot be sent on; what a GET elsewhere answers is of no use."""

    def redirect_request(self, *_):
        return None


def _checked(url: str) -> str:
    """The URL without what comes behind the model's name; raises UsageError."""
    wrong = UsageError(f"{url} is no model's address: expected http://HOST:8501/v1/models/NAME")
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # raises ValueError beyond 65535
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "/models/" not in parts.path:
        raise wrong
    if parts.username is not None:
        raise UsageError(
            f"{parts.hostname}: names and passwords in the URL are not sent; put a proxy before the server"
        )
    if not parts.netloc.isprintable() or " " in parts.netloc:
        raise wrong
    path = urllib.parse.quote(parts.path.rstrip("/").removesuffix(":predict"), safe="/%:", errors="surrogateescape")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _read(response, most: int, until: float) -> bytes:
    """The answer, or its first `most` bytes."""
    content = bytearray()
    while len(content) < most and (part := response.read1(min(1 << 16, most - len(content)))):
        content += part
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(content)


def _check_json(content: bytes, sizes: list[tuple[int, int]]) -> None:
    """Raises ValueError for what would take far more memory as Python's lists than label maps of these sizes do."""
    pixels, rows = sum(height * width for height, width in sizes), sum(height for height, _ in sizes)
    lists = pixels + 3 * (rows + len(sizes) + 1) + 16
    if content.count(b"[") > lists or content.count(b",") > lists + bounds.VALUES * pixels or content.count(b"{") > 16:
        raise ValueError("too many values")


def _array(value, dtype) -> np.ndarray:
    """Numbers as JSON holds them; raises ValueError if they are others than a model of that type gives."""
    found = np.array(value)
    whole = np.issubdtype(dtype, np.integer)
    if (
        found.dtype.kind not in ("iu" if whole else "iuf")
        or whole
        and found.size
        and not 0 <= found.min() <= found.max() <= 255
    ):
        raise ValueError("numbers of another type")
    return found.astype(dtype)


def _reason(error: urllib.error.HTTPError, until: float) -> str:
    """The server's own words, in one line."""
    try:
        text = _read(error, 1 << 16, until).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        text = ""
    try:
        text = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        if not text.strip() or text.lstrip().startswith("<"):  # a page of HTML says no more than its code
            text = error.reason
    return " ".join(str(text).split())[:500]
