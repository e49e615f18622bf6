"""`msda-tf evaluate`."""

import click
from rich.console import Console

from msda_tf.errors import UsageError
from msda_tf.evaluation.protocol import SUBSET_RULES, subset

from . import elsewhere, options, quiet
from .progress import counting
from .terminal import console as plain_console
from .terminal import say


@click.command(context_settings={"max_content_width": 110})
@options.runs
@options.target
@options.data
@options.split
@options.limit
@click.option(
    "--merge",
    type=click.Choice([*options.MERGE_RULES, "all"]),
    help="Rule of Max Merge; all compares every one.  [default: run's]",
)
@click.option(
    "--protocol",
    default="all",
    help="Classes to average over: 19, 16, 13, all, or names separated by commas.  [default: all]",
)
@click.option(
    "--subset-rule",
    type=click.Choice(SUBSET_RULES),
    default="mean-of-ious",
    show_default=True,
    help="With fewer classes: the mean of their IoUs, or ignore the pixels of the others.",
)
@options.select
@options.serve
@options.window
@click.option("--unlabelled", is_flag=True, help="Estimate without labels, even where there are some.")
@click.option("--pictures", "panels", type=click.IntRange(0), default=0, help="Write this many panels to RUN/pictures.")
@options.palette
@click.option(
    "--json",
    "output",
    type=options.Path(dir_okay=False),
    help="Where to write the result.  [default: metrics.json, or estimate.json, in the first run]",
)
@elsewhere.reaching
def command(reach, directories, protocol, subset_rule, unlabelled, **others):
    """Score every branch and Max Merge on the target's labelled images.

    S-All of a run without adaptation is shown as No Adapt and is not merged. Several targets are scored one by one,
    each with its own mean, and on average. On a target without labels, the scores are estimated from how the branches
    did on held-out images of sources that they had not seen.

    \b
    Examples:
      msda-tf evaluate --run runs/cityscapes
      msda-tf evaluate --run runs/cityscapes --run runs/cityscapes-no-adapt      the paper's whole row
      msda-tf evaluate --run runs/cityscapes --merge all --pictures 10
      msda-tf evaluate --run runs/synthia --protocol 16
      msda-tf evaluate --run runs/my-city --window 512x512                     if it was trained on crops of that size
      msda-tf evaluate --run runs/acdc --target acdc:night
      msda-tf evaluate --run runs/my-city --unlabelled                         an estimate: no label is read
      msda-tf evaluate --run gs://bucket/runs/cityscapes
    """
    quiet.load_tensorflow()
    from msda_tf import estimate, evaluate, runs
    from msda_tf.runs.directory import RunDirectory

    directories = reach.scored(directories, others["data"], split=others["split"], target=others["target"])
    names = subset(protocol, runs.read(directories[0]).classes)
    console = plain_console()
    if unlabelled or estimate.needed(directories, others["data"], others["split"], others["target"]):
        _estimate(reach, directories, console, **others)
        return
    with quiet.kept_in(directories[0]), counting(console, "evaluating") as progress:
        evaluation = evaluate.evaluate(directories, on_progress=progress, **others)
    reach.finish()
    show(evaluation, console, names=names, rule=subset_rule)
    say(f"Metrics: {others['output'] or RunDirectory(directories[0]).metrics}")
    if evaluation.pictures:
        say(f"Pictures: {len(evaluation.pictures)} panels in {RunDirectory(directories[0]).pictures}")


def _estimate(reach, directories, console: Console, *, merge, **others) -> None:
    """Of runs on a target without labels."""
    from msda_tf import estimate
    from msda_tf.runs.directory import RunDirectory

    if merge == "all":
        raise UsageError("--merge all compares rules by labels: name one rule to estimate")
    with quiet.kept_in(directories[0]), counting(console, "estimating") as progress:
        found = estimate.estimate(directories, merge=merge, on_progress=progress, **others)
    reach.finish()
    console.print(estimate.table(found), markup=False, highlight=False, soft_wrap=True)
    _show_sources(found.trained, console)
    say(f"Estimate: {others['output'] or RunDirectory(directories[0]).estimate}")
    if found.pictures:
        say(f"Pictures: {len(found.pictures)} panels in {found.pictures[0].parent}")


def show(evaluation, console: Console, *, names=None, rule="mean-of-ious") -> None:
    """Prints the tables of an `msda_tf.evaluate.Evaluation`."""
    from msda_tf import evaluate
    from msda_tf.evaluation import tables

    for grid in evaluate.grids(evaluation, names=names, rule=rule):
        tables.show(grid, console)
        console.print()
    _show_sources(evaluation.trained, console)


def _show_sources(networks, console: Console) -> None:
    """Prints the cross-source table, where there is one."""
    from msda_tf.evaluation import cross_source_table

    if networks.cells:
        shown = {name: each for name, each in networks.inference.calibrations.items() if name in networks.cells}
        cross_source_table.show(networks.cells, shown, console)
        console.print()
