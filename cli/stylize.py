"""`msda-tf stylize train` and `msda-tf stylize apply`."""

import pathlib

import click

from msda_tf.stylize import config as configuration
from msda_tf.stylize.config import PRESETS

from . import options as types
from . import quiet, terminal
from .progress import counting
from .terminal import command_line, say


@click.group(invoke_without_command=True)
@click.pass_context
def command(context):
    """Re-style source images to look like the target's, by UNIT, before training on them.

    \b
    Examples:
      msda-tf stylize train --source gta5 --target cityscapes
      msda-tf stylize apply --run runs/stylize-gta5-to-cityscapes --name gta5_as_cityscapes
      msda-tf train --target cityscapes --sources gta5_as_cityscapes,synthia_as_cityscapes
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command(context_settings={"max_content_width": 110})
@click.option("--source", help="Prepared data set to re-style. Its labels are never read in this training.")
@click.option("--target", help="Prepared data set whose look it takes on. Its labels are never read.")
@click.option("--data", type=types.Path(), help="Folder that prepare wrote.  [default: data]")
@click.option(
    "--run",
    "directory",
    type=types.Path(),
    help="Run directory.  [default: runs/stylize-SOURCE-to-TARGET]",
)
@click.option("--preset", default="full", show_default=True, help=f"Starting point: {', '.join(PRESETS)}.")
@click.option("--config", "file", type=types.Path(), help="YAML file of settings.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting; may be given several times.")
@click.option("--steps", type=int, help="Training steps.")
@click.option("--seed", type=int, help="Seed of weights, data order, crops, flips and noise.")
@click.option("--restart", is_flag=True, help="Start over: removes the run directory (asks first).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--print-config", is_flag=True, help="Show every setting, where its value came from and why, and stop.")
def train(directory, file, settings, preset, restart, yes, print_config, **options):
    """Train UNIT between a source and a target.

    Run the same command again to continue a run that was interrupted. TensorBoard shows the pictures: each image, its
    translation, and back again, for both directions.

    \b
    Examples:
      msda-tf stylize train --source gta5 --target cityscapes
      msda-tf stylize train --source synthia --target cityscapes --preset unit-256 --set precision=mixed_bfloat16
      msda-tf stylize train --source gta5 --target cityscapes --preset miniature --data data-miniature
    """
    from .train import TrainingProgress, given_settings, show_config

    config, origins = configuration.resolve(preset=preset, file=file, settings=given_settings(settings, options))
    console = terminal.console()
    if print_config:
        show_config(config, origins)
        return
    configuration.validate(config)

    quiet.load_tensorflow()
    from msda_tf.stylize import run as runs
    from msda_tf.stylize import train as training
    from msda_tf.stylize.task import UnitTask

    directory = directory or training.default_directory(config)
    training.load_manifests(config)
    if restart and runs.exists(directory) and not yes:
        terminal.confirm(f"Remove the run in {directory} and start over?")
    with quiet.kept_in(directory), TrainingProgress(console) as progress:
        _, outcome = training.train(
            config,
            directory,
            restart=restart,
            on_progress=lambda *state: progress(UnitTask, *state),
            on_note=lambda note: terminal.line(console, f"note: {note}"),
        )
        progress.finished(UnitTask, outcome)
    say(f"Trained for {config.steps} steps in {directory}")
    name = f"{config.source}_as_{config.target}"
    look = command_line("tensorboard", "--logdir", directory)
    say(f"Next: {look}    then: {command_line('msda-tf', 'stylize', 'apply', '--run', directory, '--name', name)}")


@command.command(context_settings={"max_content_width": 110})
@click.option(
    "--run",
    "directory",
    required=True,
    type=types.Path(),
    help="Run directory that stylize train wrote.",
)
@click.option("--dataset", help="Prepared data set to re-style.  [default: the run's source]")
@click.option("--name", help="Name of the new data set.  [default: DATASET_as_TARGET]")
@click.option("--data", type=types.Path(), help="Folder of prepared data sets.  [default: the run's]")
@click.option("--step", type=int, help="Checkpoint to use.  [default: the newest]")
@click.option("--tile", type=click.IntRange(0), default=0, help="Translate in tiles of this size, for little memory.")
@click.option(
    "--image-format", type=click.Choice(("png", "jpeg")), help="Store images so.  [default: as the originals]"
)
@click.option("--jpeg-quality", type=click.IntRange(1, 100), default=95, show_default=True)
@types.runner
@types.beam_options
@click.option("--force", is_flag=True, help="Start over: throw away what an earlier run wrote.")
def apply(directory, dataset, name, data, step, tile, image_format, jpeg_quality, runner, beam_options, force):
    """Write a prepared data set again, with its images in the target's look.

    Labels, names and splits stay as they are, byte for byte. Interrupted, it goes on where it stopped when it is
    started again.

    \b
    Examples:
      msda-tf stylize apply --run runs/stylize-gta5-to-cityscapes --name gta5_as_cityscapes
      msda-tf stylize apply --run runs/stylize-gta5-to-cityscapes --tile 768      in tiles, with little memory
      msda-tf stylize apply --run /mnt/runs/stylize-gta5-to-cityscapes --runner FlinkRunner \\
        --beam-option flink_master=flink:8081
    """
    runner = types.chosen_runner(runner, beam_options)
    quiet.load_tensorflow()
    from msda_tf.data.writing.images import Storage
    from msda_tf.stylize import apply as applying
    from msda_tf.stylize import run as runs

    run = runs.read(directory)
    dataset = dataset or run.config.source
    name = name or f"{dataset}_as_{run.config.target}"
    data = data or pathlib.Path(run.config.data)
    with counting(terminal.console(), name) as progress:
        manifest = applying.apply(
            run,
            data=data,
            dataset=dataset,
            name=name,
            step=step,
            tile=tile,
            storage=Storage(image_format=image_format, jpeg_quality=jpeg_quality),
            force=force,
            progress=progress,
            runner=runner,
        )
    mean = ", ".join(f"{value:.2f}" for value in manifest.mean_rgb)
    say(f"{manifest.directory}: {manifest.width}x{manifest.height} pixels, mean RGB {mean}")
    say(f"Next: {command_line('msda-tf', 'inspect', manifest.directory)}")
    train_on = ("--target", run.config.target, "--sources", name, "--data", data)
    say(f"then: {command_line('msda-tf', 'train', *train_on)}")
