"""Asking a server again while it is starting, reloading or busy."""

import time
from collections.abc import Callable
from typing import TypeVar

from msda_tf.errors import MsdaError

Answer = TypeVar("Answer")


class Unavailable(MsdaError):
    """The server cannot answer now, but may a moment later."""


def ask(request: Callable[[], Answer], *, retries: int, wait: float = 0.5) -> Answer:
    """Calls `request` until it does not raise `Unavailable`, at most `retries` times more, waiting longer each time.

    Args:
      request: sends a request and gives the answer.
      retries: how often to ask again.
      wait: seconds before the second attempt; doubled before each further one, up to 8 seconds.

    Raises:
      Unavailable: the last attempt's error.
    """
    for attempt in range(retries):
        try:
            return request()
        except Unavailable:
            time.sleep(min(8.0, wait * 2 ** min(attempt, 10)))
    return request()
