"""Compares runs side by side: each is scored alone, nothing is merged, and one page shows what differs."""

import contextlib
import gc
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence

import keras

from msda_tf import estimate, evaluate, files, lock, runs
from msda_tf.errors import UsageError
from msda_tf.evaluation import metrics, palettes
from msda_tf.remote import cache
from msda_tf.report import compare_page, curves
from msda_tf.report.album import Album
from msda_tf.report.compared import Compared, differences, gains
from msda_tf.report.gallery import pair
from msda_tf.runs import Run


def compare(
    directories: Sequence[str | pathlib.Path],
    output: str | pathlib.Path,
    *,
    last_and_best: bool = False,
    gallery: int = 6,
    select: str | None = None,
    palette: str = palettes.OWN,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
    **options,
) -> list[Compared]:
    """Scores each run alone and writes the page, and the scores beside it as `<output>.json`.

    Args:
      directories: run directories, for the same target; the first is what the others are compared with.
      output: the HTML file.
      last_and_best: compare the last and the best checkpoint of each run.
      gallery: number of images that are gained on most, and as many that are lost on.
      select: "last", "best" or "unlabelled" checkpoint of all; each run's own choice by default.
      palette: in whose colours classes are shown, one of `msda_tf.evaluation.palettes.PALETTES`.
      on_progress: called with (images done, number of images) of all runs together.
      options: target, data, split, limit, merge, serve, window of `msda_tf.evaluate.evaluate`.

    Returns:
      the runs in their order; with `last_and_best`, each of them twice.

    Raises:
      UsageError, MsdaError: as `msda_tf.evaluate.evaluate`; or there is nothing to compare, or the runs do not have the
        same classes or target.
    """
    if last_and_best and select:
        raise UsageError("--last-and-best takes both checkpoints of each run: leave --select out")
    wanted = [(runs.read(each), each) for each in directories]
    _check(wanted, last_and_best)
    if estimate.needed(directories, options.get("data"), options.get("split"), options.get("target")):
        raise UsageError(
            f"{wanted[0][0].config.target} has no labels, by which runs are compared: estimate each by itself, with "
            "msda-tf report --run, or msda-tf evaluate --run"
        )
    chosen = [(run, each) for run, _ in wanted for each in (("last", "best") if last_and_best else (select,))]
    names = _names(chosen, last_and_best)
    output = pathlib.Path(output)
    found: list[Compared] = []
    with lock.hold(output.absolute().parent, "msda-tf report", result=output.name), _scratch() as scratch:
        classes = palettes.recoloured(wanted[0][0].classes, palette)
        album = Album(scratch, classes)
        for number, (name, (run, selected)) in enumerate(zip(names, chosen, strict=True)):
            found.append(
                _score(
                    name,
                    run,
                    selected,
                    album,
                    scratch / "scores.json",
                    lambda done, count, before=number: on_progress(before * count + done, len(names) * count),
                    options,
                )
            )
            # Or the networks of every run would stay until the last.
            keras.backend.clear_session()
            gc.collect()
        text = compare_page.render(found, classes, *album.chosen(gallery))
        files.write_json(output.with_suffix(".json"), to_json(found))
        with files.replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return found


def _check(wanted: list[tuple[Run, pathlib.Path]], last_and_best: bool) -> None:
    first = wanted[0][0]
    if len(wanted) < 2 and not last_and_best:
        raise UsageError("--compare needs two runs at least: name another with --run, or say --last-and-best")
    for run, directory in wanted[1:]:
        if run.classes.names != first.classes.names:
            raise UsageError(f"{directory} has other classes than {first.directory}: their scores do not compare")
        if set(run.config.targets) != set(first.config.targets):
            raise UsageError(
                f"{directory} was adapted to {run.config.target}, {first.directory} to {first.config.target}: only "
                "runs for the same target compare"
            )


def _names(chosen: list[tuple[Run, str | None]], last_and_best: bool) -> list[str]:
    """The folders' names, or their paths where these are the same."""
    folders = [run.directory.resolve().name for run, _ in chosen]
    of_run = {run.directory: folder for (run, _), folder in zip(chosen, folders, strict=True)}
    ambiguous = len(set(of_run.values())) < len(of_run)
    names = [cache.shown(run.directory) if ambiguous else of_run[run.directory] for run, _ in chosen]
    if last_and_best:
        return [f"{name} ({selected})" for name, (_, selected) in zip(names, chosen, strict=True)]
    if len(set(names)) < len(names):
        raise UsageError("a run is given twice: name each run once, or say --last-and-best")
    return names


@contextlib.contextmanager
def _scratch() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(prefix="msda-tf-") as folder:
        yield pathlib.Path(folder)


def _score(name: str, run: Run, selected: str | None, album: Album, place, on_progress, options: dict) -> Compared:
    def see(image_name, image, label, maps):
        album.see(name, image_name, image, label, maps[pair(list(maps))[0]])

    evaluation = evaluate.evaluate(
        [run.directory], select=selected, output=place, on_image=see, on_progress=on_progress, **options
    )
    if len(evaluation.scored) > 1:
        raise UsageError(f"runs are compared on one target: say --target {evaluation.scored[0].target}, or another")
    checkpoints = evaluation.trained.checkpoints
    return Compared(
        name,
        run,
        checkpoints[0].selected,
        tuple(checkpoint.step for checkpoint in checkpoints),
        pair(evaluation.columns)[0],
        evaluation.metrics,
        tuple(evaluation.notes),
        tuple(curves.read(evaluation.trained)),
    )


def to_json(found: Sequence[Compared]) -> dict:
    """JSON-ready: of each run what metrics.json holds; the settings that differ; the IoU that each class gains.

    Scores and gains are fractions 0-1; a gain is null where the class is nowhere to be seen.
    """
    return {
        "runs": [
            {
                "name": each.name,
                "directory": cache.shown(each.run.directory),
                "checkpoint": each.select,
                "compared": each.column,
                "notes": list(each.notes),
                **metrics.to_json(each.metrics),
            }
            for each in found
        ],
        "differences": differences(found),
        "gains": {each.name: gains(found[0], each) for each in found[1:]},
    }
