"""msda-tf runs: what was trained here, and how far."""

import click
from rich.table import Table

from msda_tf.printable import printable

from . import options, terminal
from .terminal import say


@click.command()
@click.argument("folder", type=options.Path(), default="runs")
def command(folder):
    """List the runs in a folder (default: runs) with their settings, progress and mIoU.

    The mIoU is that of the last msda-tf evaluate, or of the last evaluation during training, which scores fewer images:
    the last column says which.

    \b
    msda-tf runs
    msda-tf runs experiments
    """
    from msda_tf.runs import listing as run_list

    found = run_list.find(folder)
    if not found:
        say(f"No runs in {folder}: msda-tf train makes one")
        return
    table = Table()
    for column in ("run", "target", "sources", "layout", "adapt", "step", "mIoU %", "state", "scored"):
        table.add_column(
            column, justify="right" if column == "mIoU %" else "left", overflow="fold", no_wrap=column == "state"
        )
    for run in found:
        table.add_row(
            printable(run.directory),
            printable(run.target),
            printable(", ".join(run.sources)),
            run.layout,
            ("yes" if run.adapt else "no") if run.layout else "",
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
