"""Puts load on a served model and reports requests per second and latency percentiles.

    python examples/serving/load.py --url http://localhost:8501/v1/models/msda --image frame.png
    python examples/serving/load.py --grpc localhost:8500 --image frame.png --clients 8 --requests 500

Each client sends its next request when it has the answer to the one before. The first request of each client is not
counted: connections are being made.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import sys
import time

import numpy as np

from msda_tf.errors import MsdaError
from msda_tf.serving.client.grpc_client import GrpcClient
from msda_tf.serving.client.rest import RestClient


def send(client, image: bytes, count: int) -> tuple[list[float], collections.Counter]:
    """Seconds of each answered request, and how often each error came."""
    seconds, errors = [], collections.Counter()
    for number in range(count + 1):
        start = time.perf_counter()
        try:
            client.predict([image])
        except MsdaError as error:
            errors[str(error)] += 1
        else:
            if number:
                seconds.append(time.perf_counter() - start)
    return seconds, errors


def report(seconds: list[float], elapsed: float) -> str:
    """Two lines: throughput, and latency percentiles in milliseconds."""
    shown = [f"p{percent} {1000 * np.percentile(seconds, percent):.1f}" for percent in (50, 90, 95, 99)]
    return (
        f"{len(seconds)} requests in {elapsed:.1f} s: {len(seconds) / elapsed:.2f} requests/s\n"
        f"latency in ms: {', '.join(shown)}, longest {1000 * max(seconds):.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="http://HOST:8501/v1/models/NAME")
    parser.add_argument("--grpc", help="HOST:8500")
    parser.add_argument("--model", default="msda", help="with --grpc: the model's name on the server")
    parser.add_argument("--image", required=True, type=pathlib.Path, help="PNG or JPEG file")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--clients", type=int, default=4, help="requests under way at a time")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    if (options.url is None) == (options.grpc is None):
        parser.error("name the server by either --url or --grpc")
    image = options.image.read_bytes()
    each = -(-options.requests // options.clients)

    def client():
        if options.url:
            return RestClient(options.url, timeout=options.timeout)
        return GrpcClient(options.grpc, model=options.model, timeout=options.timeout)

    with concurrent.futures.ThreadPoolExecutor(options.clients) as pool:
        start = time.perf_counter()
        results = list(pool.map(lambda _: send(client(), image, each), range(options.clients)))
        elapsed = time.perf_counter() - start
    seconds = [value for values, _ in results for value in values]
    for error, count in sum((errors for _, errors in results), collections.Counter()).most_common(5):
        print(f"{count} failed: {error}", file=sys.stderr)
    if not seconds:
        sys.exit("no request was answered")
    print(report(seconds, elapsed))


if __name__ == "__main__":
    main()
