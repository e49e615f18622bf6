"""Makes a report: one evaluation of the runs, and one file."""

import pathlib
from collections.abc import Callable, Sequence

from msda_tf import evaluate, files, lock, runs
from msda_tf.evaluate import Evaluation
from msda_tf.report import curves, page
from msda_tf.report.gallery import Gallery


def make(
    directories: Sequence[str | pathlib.Path],
    output: str | pathlib.Path,
    *,
    gallery: int = 6,
    target: str | None = None,
    data: str | pathlib.Path | None = None,
    split: str | None = None,
    limit: int | None = None,
    merge: str | None = None,
    select: str | None = None,
    serve: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> Evaluation:
    """Scores runs and writes the page, and the scores beside it as `<output>.json`, the form of `metrics.json`.

    Args:
      directories: run directories; those with adaptation are merged.
      output: the HTML file.
      gallery: number of most improved and of most damaged images.
      target, data, split, limit, merge, select, serve, on_progress: as in `msda_tf.evaluate.evaluate`.

    Raises:
      UsageError, MsdaError: as in `msda_tf.evaluate.evaluate`; or a log of training is damaged, or another process
        writes the same page.
    """
    output = pathlib.Path(output)
    shots = Gallery(gallery, classes=len(runs.read(directories[0]).classes))
    # The page and its scores are two files, but of one report.
    with lock.hold(output.absolute().parent, "msda-tf report", result=output.name):
        evaluation = evaluate.evaluate(
            directories,
            target=target,
            data=data,
            split=split,
            limit=limit,
            merge=merge,
            select=select,
            serve=serve,
            output=output.with_suffix(".json"),
            on_progress=on_progress,
            on_image=shots.see,
        )
        text = page.render(evaluation, curves.read(evaluation.trained), shots)
        with files.replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return evaluation
