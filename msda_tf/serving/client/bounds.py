"""How much a server may answer, and how long it may take: whoever answers may be anyone."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from msda_tf.errors import MsdaError
from msda_tf.image_files import headers
from msda_tf.image_files.headers import BadFrame

Answer = TypeVar("Answer")

OUTPUTS = {"label_map": np.uint8, "color_map": np.uint8, "confidence": np.float32}
"""The outputs of an exported model, and their types; what else a server answers is left alone."""

VALUES = 5
"""Most numbers in an answer for each pixel: its class, three of a colour, a probability."""


def sizes(images: list[bytes]) -> list[tuple[int, int]]:
    """(height, width) of PNG and JPEG files, from their headers: answers are as large.

    Raises:
      MsdaError: one is neither.
    """
    try:
        found = [headers.parse(image) for image in images]
    except BadFrame as error:
        raise MsdaError(f"no image that a server could segment: {error}") from None
    return [(header.height, header.width) for header in found]


def within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """What `work` gives or raises, in a thread of its own.

    Sockets know timeouts for each single packet only: a server that sends a byte now and then would never end.

    Raises:
      TimeoutError: it takes longer. The thread is left alone; `work` should come to an end by itself.
    """
    results: queue.SimpleQueue = queue.SimpleQueue()

    def run():
        try:
            results.put((work(), None))
        except BaseException as error:  # raised again below
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return answer
