"""Client of TensorFlow Serving's REST interface (tensorflow.org/tfx/serving/api_rest)."""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from msda_tf.errors import MsdaError, UsageError
from msda_tf.serving.client.retry import Unavailable

_DTYPES = {"label_map": np.uint8, "color_map": np.uint8, "confidence": np.float32}
# Too many requests, bad gateway, unavailable, gateway timeout: what servers and the proxies before them say when busy.
_BUSY = (429, 502, 503, 504)


class RestClient:
    """A model behind a REST interface.

    Args:
      url: of the model: `http://host:8501/v1/models/NAME`, with `/versions/N` behind it for a certain version.
      timeout: seconds to wait for an answer.

    Raises:
      UsageError: the URL is not of that form.
    """

    def __init__(self, url: str, *, timeout: float = 60.0):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or "/models/" not in parts.path:
            raise UsageError(f"{url} is no model's address: expected http://HOST:8501/v1/models/NAME")
        self.url, self.timeout = url.rstrip("/").removesuffix(":predict"), timeout

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
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            kind = Unavailable if error.code in _BUSY else MsdaError
            raise kind(f"{self.url} answers {error.code}: {_reason(error)}") from None
        except TimeoutError:
            raise MsdaError(f"{self.url} did not answer in {self.timeout:g} s: is it overloaded? (--timeout)") from None
        except (urllib.error.URLError, ConnectionError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise Unavailable(f"{self.url} cannot be reached in {self.timeout:g} s") from None
            raise Unavailable(f"{self.url} cannot be reached: {reason or type(error).__name__}") from None
        return self._outputs(content)

    def _outputs(self, content: bytes) -> dict[str, np.ndarray]:
        try:
            outputs = json.loads(content)["outputs"]
            # A single output comes without its name.
            outputs = outputs if isinstance(outputs, dict) else {"label_map": outputs}
            return {name: np.array(value, _DTYPES.get(name)) for name, value in outputs.items()}
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise MsdaError(f"{self.url} answers what no msda-tf model does ({type(error).__name__})") from None


def _reason(error: urllib.error.HTTPError) -> str:
    """The server's own words, in one line."""
    try:
        text = error.read().decode(errors="replace")
    except OSError:
        text = ""
    try:
        text = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        text = text or error.reason
    return " ".join(str(text).split())[:500]
