"""Makes a report: one evaluation of the runs, or one estimate where nobody has labelled the target, and one file."""

import pathlib
from collections.abc import Callable, Sequence

from msda_tf import estimate, evaluate, files, lock, runs
from msda_tf.estimate import Estimation
from msda_tf.evaluate import Evaluation
from msda_tf.evaluation import palettes
from msda_tf.report import curves, page
from msda_tf.report.disputed import Disputed
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
    window: tuple[int, int] | None = None,
    palette: str = palettes.OWN,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> Evaluation | Estimation:
    """Scores runs and writes the page, and the scores beside it as `<output>.json`, the form of `metrics.json`.

    On a target that nobody has labelled, the page holds estimates, and what lies beside it has the form of
    `estimate.json`.

    Args:
      directories: run directories; those with adaptation are merged.
      output: the HTML file.
      gallery: number of most improved and of most damaged images; without labels, of most disputed ones.
      target, data, split, limit, merge, select, serve, window, palette, on_progress: as in `msda_tf.evaluate.evaluate`.

    Raises:
      UsageError, MsdaError: as in `msda_tf.evaluate.evaluate`; or a log of training is damaged, or another process
        writes the same page.
    """
    output = pathlib.Path(output)
    if estimate.needed(directories, data, split, target):
        return _make_estimate(
            directories,
            output,
            gallery,
            target=target,
            data=data,
            split=split,
            limit=limit,
            merge=merge,
            select=select,
            serve=serve,
            window=window,
            palette=palette,
            on_progress=on_progress,
        )
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
            window=window,
            palette=palette,
            output=output.with_suffix(".json"),
            on_progress=on_progress,
            on_image=shots.see,
        )
        _write(output, page.render(evaluation, curves.read(evaluation.trained), shots))
    return evaluation


def _make_estimate(directories, output: pathlib.Path, gallery: int, **options) -> Estimation:
    shots = Disputed(gallery)
    with lock.hold(output.absolute().parent, "msda-tf report", result=output.name):
        found = estimate.estimate(directories, output=output.with_suffix(".json"), on_image=shots.see, **options)
        _write(output, page.render_estimate(found, curves.read(found.trained), shots))
    return found


def _write(output: pathlib.Path, text: str) -> None:
    with files.replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
