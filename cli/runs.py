"""msda-tf runs: what was trained here, and how far."""

import click
from rich.table import Table

from msda_tf.printable import printable

from . import elsewhere, options, terminal
from .terminal import say

# Column -> by what its rows are compared. What is missing comes last, whatever the order.
SORTS = {
    "run": lambda run: str(run.directory),
    "miou": lambda run: (run.miou is None, -(run.miou or 0)),
    "step": lambda run: -min((run.done or {"": 0}).values(), default=0),
    "target": lambda run: (run.target, run.miou is None, -(run.miou or 0)),
}


@click.command()
@click.argument("folder", type=options.Folder(), default="runs")
@click.option(
    "--sort", type=click.Choice(list(SORTS)), default="run", show_default=True, help="miou, step: best first."
)
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON, mIoU as a fraction.")
@elsewhere.reaching
def command(reach, folder, sort, as_json):
    """List the runs in a folder (default: runs) with their settings, progress and mIoU.

    The mIoU is that of the last msda-tf evaluate, or of the last evaluation during training, which scores fewer images:
    the last column says which. Those of different targets, or of different images, do not compare.

    \b
    msda-tf runs
    msda-tf runs --sort miou
    msda-tf runs experiments --json
    msda-tf runs gs://bucket/runs
    """
    from msda_tf.runs import listing as run_list

    with reach.listed(folder) as here:
        reach.settled()
        found = sorted(run_list.find(here), key=SORTS[sort])
    if as_json:
        terminal.say_json([vars(run) | {"directory": terminal.with_urls(run.directory)} for run in found])
        return
    if not found:
        say(f"No runs in {folder}: msda-tf train makes one")
        return
    table = Table()
    for column in ("run", "target", "sources", "layout", "method", "step", "mIoU %", "state", "scored"):
        table.add_column(
            column, justify="right" if column == "mIoU %" else "left", overflow="fold", no_wrap=column == "state"
        )
    for run in found:
        table.add_row(
            printable(terminal.with_urls(run.directory)),
            printable(run.target),
            printable(", ".join(run.sources)),
            run.layout,
            run.method,
            "\n".join(f"{name} {step}/{run.steps}" for name, step in (run.done or {}).items()),
            "" if run.miou is None else f"{100 * run.miou:.2f}",
            run.state,
            printable(run.scored),
        )
    console = terminal.console()
    # A file or a pipe has no width to which lines must be folded.
    (console if console.is_terminal else terminal.console(width=200)).print(table)
    for run in found:
        if run.damage:
            say(f"{run.directory}: {run.damage}")
