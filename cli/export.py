"""`msda-tf export`."""

import pathlib

import click

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
    "--output", required=True, type=click.Path(path_type=pathlib.Path), help="The model's folder: a server's base path."
)
@click.option("--merge", type=click.Choice(RULES), help="Rule of Max Merge.  [default: the run's]")
@click.option("--branches", help="Branches to merge, separated by commas.  [default: all]")
@click.option("--select", type=click.Choice(["last", "best"]), help="Checkpoint to use.  [default: the run's]")
def command(directories, output, branches, **options):
    """Write a SavedModel for TensorFlow Serving.

    The model takes uint8 RGB images of any size and gives trainIds at the same size; resizing, the target's mean and
    Max Merge are inside. Each export is a new version: OUTPUT/1, OUTPUT/2, ...

    \b
    Example:
      msda-tf export --run runs/cityscapes --output models/cityscapes
    """
    from msda_tf import export

    names = [name.strip() for name in branches.split(",")] if branches is not None else None
    version = export.export(directories, output, branches=names, **options)
    click.echo(f"Exported to {version}")
    click.echo(f"Look at it: saved_model_cli show --dir {version} --all")
