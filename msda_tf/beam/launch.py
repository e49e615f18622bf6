"""The process that runs one pipeline: `python -m msda_tf.beam.launch`, started by `msda_tf.beam.spread`.

It is a process of its own because some runners wait for ever for a worker that died, and because Beam's threads and
words are nobody's business. Its input is a pickle of what to do; when the input ends, whoever started it is gone, and
it ends.
"""

import os
import pickle
import signal
import sys
import threading
import traceback

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from msda_tf.beam.work import Work
from msda_tf.remote import filesystem


def main() -> None:
    """Runs the pipeline; the exit code is 0 if all tasks are done."""
    spec = pickle.load(sys.stdin.buffer)
    running: list = []

    def leave(*_) -> None:
        # What runs elsewhere would go on.
        for result in running:
            result.cancel()
        os._exit(1)

    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), leave()), daemon=True).start()
    threading.excepthook = _end_with_a_worker
    try:
        filesystem.connect(spec["flags"])
        pipeline = beam.Pipeline(runner=spec["runner"], options=PipelineOptions(list(spec["flags"])))
        tasks = pipeline | "tasks" >> beam.Create(spec["tasks"]) | "spread" >> beam.Reshuffle()
        _ = tasks | "work" >> beam.ParDo(Work(spec["job"], spec["folder"], spec["current"], spec["versions"]))
        result = pipeline.run()
        running.append(result)
        done = (result.wait_until_finish() or result.state) == PipelineState.DONE
    except BaseException:
        traceback.print_exc()
        done = False
    # At once: threads that wait for a worker would keep the process.
    sys.stderr.flush()
    os._exit(0 if done else 1)


def _end_with_a_worker(failure: threading.ExceptHookArgs) -> None:
    """Ends the process if the thread that ends so had a worker process, of whose end the runner takes no notice."""
    threading.__excepthook__(failure)
    if "Worker subprocess exited" in str(failure.exc_value):
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
