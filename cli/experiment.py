"""`msda-tf experiment`."""

import contextlib
import pathlib

import click
from rich.console import Console

from msda_tf import files
from msda_tf.data import manifest as manifests
from msda_tf.errors import MsdaError, UsageError
from msda_tf.experiment import jobs as planning
from msda_tf.experiment import results, tables

from . import elsewhere, options, quiet, terminal
from .progress import counting, duration
from .terminal import command_line, say
from .train import TrainingProgress, default_preset, given_settings


@click.command(context_settings={"max_content_width": 110})
@click.option("--grid", type=click.Choice(list(planning.GRIDS)), help="Which of the known tables.")
@click.option("--target", "targets", multiple=True, help="Rows.  [default: all of the grid]")
@click.option("--sources", type=options.Names(), help="A table of your own: labelled data sets, separated by commas.")
@click.option("--preset", help="Of your own table: as in train.  [default: paper; tiny for miniature data]")
@click.option(
    "--scale",
    "scales",
    multiple=True,
    type=options.Number(0.01),
    help="Rows: 1.0 (original size), 0.5 (reduced).  [default: both; 1.0 for miniature; the preset's for your own]",
)
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=1, show_default=True, help="Repetitions, with seeds 0, 1, ..."
)
@click.option(
    "--data",
    type=options.Path(file_okay=False),
    help="Folder that prepare wrote.  [default: data; for miniature data-miniature, which is made if missing]",
)
@click.option(
    "--output",
    type=options.Path(file_okay=False),
    help="Folder of all runs and results.  [default: experiments/GRID, experiments/SOURCE+SOURCE]",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting of all runs, as in train.")
@click.option("--dry-run", is_flag=True, help="List the runs and how far each is, and stop.")
def command(grid, targets, sources, preset, scales, seeds, data, output, settings, dry_run):
    """Train and score all runs of a table: the paper's, beside its figures, or one of your own data sets.

    A table of your own has No Adapt, a column for every source, all sources together, their merges and, where the
    target has labelled training images, an oracle. A target that nobody labelled gets estimates instead of scores.

    Run the same command again to go on after an interruption; what is finished is not done again.

    \b
    Examples:
      msda-tf experiment --grid miniature --seeds 3
      msda-tf experiment --grid paper --dry-run
      msda-tf experiment --grid paper --target cityscapes --scale 0.5 --set precision=mixed_bfloat16
      msda-tf experiment --target mycity --sources gta5,idd_lite --preset small --seeds 3
    """
    if several := [target for target in targets if "," in target]:
        raise UsageError(f"--target {several[0]}: each row has one target; give --target once for each of them")
    data = data or pathlib.Path("data-miniature" if grid == "miniature" else "data")
    targets, scales = tuple(dict.fromkeys(targets)), tuple(dict.fromkeys(scales))
    shared = {"data": data, "scales": scales, "seeds": seeds, "settings": given_settings(settings, {})}
    if sources:
        if grid or not targets:
            raise UsageError("--sources is for a table of your own: with --target, and without --grid")
        output = output or pathlib.Path("experiments") / "+".join(sources)
        preset = preset or default_preset(
            elsewhere.Reach(), None, (), {"target": targets[0], "sources": sources, "data": data}
        )
        jobs = planning.plan_own(sources, output=output, targets=targets, preset=preset, **shared)
    else:
        if not grid:
            raise UsageError("a table of --grid paper or miniature, or of your own --sources a,b --target t?")
        if preset:
            raise UsageError(f"--preset is for a table of your own: the runs of --grid {grid} have theirs")
        output = output or pathlib.Path("experiments") / grid
        jobs = planning.plan(grid, output=output, targets=targets or planning.TARGETS, **shared)
    planning.check(jobs)
    if dry_run:
        _list(jobs)
        return
    if grid:
        _check_data(grid, data)
    quiet.load_tensorflow()
    from msda_tf.experiment import running

    running.prepare(jobs, data)
    console, failures = terminal.console(), {}
    try:

        def failed(job, message):
            failures[job.name] = message
            say(f"FAILED {job.name}: {message}", fg="red", err=True)

        running.run(jobs, on_job=_Shown(console), on_failure=failed)
    finally:
        # Also after an interruption: what is finished is worth looking at.
        if output.is_dir():
            _report(jobs, console, output, grid=grid, seeds=seeds, failures=failures)
    if failures:
        names = "; ".join(failures)
        raise MsdaError(f"{len(failures)} of {len(jobs)} runs failed ({names}): the same command tries them again")


def _list(jobs) -> None:
    states = [planning.state(job) for job in jobs]
    width = max(len(job.name) for job in jobs)
    for number, (job, state) in enumerate(zip(jobs, states, strict=True), 1):
        say(f"{number:>3}  {job.name:<{width}}  {state!s:<22}  {job.directory}")
    finished = sum(state.finished for state in states)
    say(f"{len(jobs)} runs, {finished} finished, {len(jobs) - finished} to do")


def _check_data(grid: str, data: pathlib.Path) -> None:
    """Makes the miniature data if it is missing; refuses one grid's data for the other."""
    there = set(manifests.available(data)) & set(planning.TARGETS)
    if grid == "miniature" and len(there) < len(planning.TARGETS):
        from .main import cli

        making = command_line("msda-tf", "prepare", "--dataset", "miniature", "--output", data)
        say(f"The miniature data sets are not in {data}: {making}")
        cli.main(["prepare", "--dataset", "miniature", "--output", str(data)], standalone_mode=False)
        there = set(planning.TARGETS)
    for name in sorted(there):
        generated = bool(manifests.read(data / name).options.get("miniature"))
        if generated != (grid == "miniature"):
            what = "generated miniature data" if generated else "no generated miniature data"
            raise UsageError(
                f"{data / name} is {what}, which --grid {grid} is not for: name another folder with --data"
            )


class _Shown:
    """Shows each run: a heading with the progress of the whole, then train's own progress."""

    def __init__(self, console: Console):
        self._console = console

    @contextlib.contextmanager
    def __call__(self, job, progress):
        left = "" if progress.seconds_left is None else f", about {duration(progress.seconds_left)} left"
        self._console.print()
        heading = f"Run {progress.number} of {progress.count}{left}: {job.name}"
        terminal.line(self._console, heading, style="bold")
        if progress.outdated:
            terminal.line(self._console, f"it is scored again: its scores are of {progress.outdated}")
        with contextlib.ExitStack() as scoring, TrainingProgress(self._console) as training:
            show = None

            def scored(done, count):
                nonlocal show
                if not self._console.is_terminal:
                    return
                if show is None:
                    training.__exit__()  # A console has room for one live display.
                    show = scoring.enter_context(counting(self._console, "scoring"))
                show(done, count)

            yield (
                {"on_progress": training, "on_weights": training.weights, "on_finished": training.finished},
                {"on_progress": scored},
            )


def _report(jobs, console, output, *, grid, seeds, failures) -> None:
    rows = results.gather(jobs, grid)
    shown = tables.all_tables(rows, seeds=seeds)
    files.write_json(output / "results.json", results.to_json(rows, jobs, grid=grid, failures=failures))
    with files.replacing(output / "results.md") as temporary:
        temporary.write_text("\n".join(map(tables.to_markdown, shown)), encoding="utf-8")
    console.print()
    for table in shown if any(row.columns or row.estimates for row in rows) else ():
        tables.show(table, console)
        console.print()
    say(f"Results: {output / 'results.json'} and {output / 'results.md'}")
