"""`msda-tf report`."""

import click

from msda_tf.errors import UsageError

from . import elsewhere, options, quiet, terminal
from .progress import counting
from .terminal import say


@click.command(context_settings={"max_content_width": 110})
@options.runs
@click.option(
    "--output",
    type=options.Path(dir_okay=False),
    default="report.html",
    show_default=True,
    help="The page; its scores are written beside it as JSON.",
)
@click.option(
    "--gallery",
    type=click.IntRange(0),
    default=6,
    show_default=True,
    help="Images that Max Merge improves most over S-All, and as many that it damages most.",
)
@click.option("--compare", is_flag=True, help="Score each run alone and show them side by side, against the first.")
@click.option("--last-and-best", is_flag=True, help="Compare the last and the best checkpoint of each run.")
@options.target
@options.data
@options.split
@options.limit
@options.merge
@options.select
@options.serve
@options.window
@options.palette
@elsewhere.reaching
def command(reach, directories, output, compare, last_and_best, **others):
    """Write one HTML page about runs: scores, classes, confusion, training curves, images.

    The page needs no network and no other file: send it to whom you like. Branches of several runs are merged. With
    --compare nothing is: the page shows scores side by side, settings that differ, classes gained and lost, and images
    with a slider between any two runs. On a target that nobody labelled, it shows estimates.

    \b
    Examples:
      msda-tf report --run runs/cityscapes
      msda-tf report --run runs/cityscapes --run runs/cityscapes-no-adapt --output cityscapes.html
      msda-tf report --compare --run runs/small-lr --run runs/large-lr --output compared.html
      msda-tf report --last-and-best --run runs/cityscapes
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--output {output}: expected the name of an HTML file, such as report.html")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"--output {output}: the folder {output.parent} does not exist")

    quiet.load_tensorflow()
    from msda_tf.report import compare as comparison
    from msda_tf.report import make

    directories = reach.scored(directories, others["data"], split=others["split"], target=others["target"])
    with counting(terminal.console(), "scoring") as progress:
        if compare or last_and_best:
            comparison.compare(directories, output, last_and_best=last_and_best, on_progress=progress, **others)
        else:
            make.make(directories, output, on_progress=progress, **others)
    say(f"Report: {output} ({output.stat().st_size / 1e6:.1f} MB), scores in {output.with_suffix('.json')}")
