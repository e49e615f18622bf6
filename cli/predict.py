"""`msda-tf predict`."""

import pathlib

import click
from rich.console import Console

from msda_tf.cli.progress import counting
from msda_tf.errors import MsdaError
from msda_tf.evaluation.merge import RULES


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--run",
    "directories",
    multiple=True,
    required=True,
    type=click.Path(path_type=pathlib.Path),
    help="Run directory; several are merged.",
)
@click.option(
    "--input",
    "source",
    required=True,
    type=click.Path(path_type=pathlib.Path),
    help="Image (PNG or JPEG), or folder of images, with sub-folders.",
)
@click.option("--output", required=True, type=click.Path(path_type=pathlib.Path), help="Folder to write to.")
@click.option("--merge", type=click.Choice(RULES), help="Rule of Max Merge.  [default: the run's]")
@click.option("--branches", help="Branches to merge, separated by commas.  [default: all]")
@click.option("--select", type=click.Choice(["last", "best"]), help="Checkpoint to use.  [default: the run's]")
def command(directories, source, output, branches, **options):
    """Segment images.

    Writes labels/NAME.png (trainIds), colors/NAME.png and overlays/NAME.png, at each image's own size. Images that
    cannot be read are named at the end, and the exit code is then 1.

    \b
    Examples:
      msda-tf predict --run runs/cityscapes --input frame.png --output results
      msda-tf predict --run runs/cityscapes --input frames/ --output results
    """
    from msda_tf import predict

    names = [name.strip() for name in branches.split(",")] if branches is not None else None
    console = Console()
    with counting(console, "segmenting") as progress:
        result = predict.predict(directories, source, output, branches=names, on_progress=progress, **options)
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"Segmented {result.done} images into {', '.join(f'{output}/{name}' for name in predict.FOLDERS)}")
    if result.failed:
        for message in result.failed:
            click.echo(message, err=True)
        raise MsdaError(f"{len(result.failed)} of {result.done + len(result.failed)} images could not be segmented")
