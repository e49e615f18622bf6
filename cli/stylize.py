"""`msda-tf stylize train` and `msda-tf stylize apply`."""

import contextlib

import click

from msda_tf import files
from msda_tf.data import elsewhere as data_sets
from msda_tf.remote import cache
from msda_tf.stylize import config as configuration
from msda_tf.stylize.config import PRESETS

from . import elsewhere, quiet, terminal, xla_cache
from . import options as types
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
@click.option("--data", type=types.Folder(), help="Folder that prepare wrote, or its URL.  [default: data]")
@click.option(
    "--run",
    "directory",
    type=types.Folder(),
    help="Run directory, or its URL.  [default: runs/stylize-SOURCE-to-TARGET]",
)
@click.option("--preset", default="full", show_default=True, help=f"Starting point: {', '.join(PRESETS)}.")
@click.option("--config", "file", type=types.Path(), help="YAML file of settings.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting; may be given several times.")
@click.option("--steps", type=int, help="Training steps.")
@click.option("--seed", type=int, help="Seed of weights, data order, crops, flips and noise.")
@click.option("--restart", is_flag=True, help="Start over: removes the run directory (asks first).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--print-config", is_flag=True, help="Show every setting, where its value came from and why, and stop.")
@elsewhere.reaching
def train(reach, directory, file, settings, preset, restart, yes, print_config, **options):
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
    if directory is not None:
        given, directory = directory, reach.run(directory, choose=elsewhere.runs.to_go_on(directory), sends=True)
    reach.data(config.data, dict.fromkeys((config.source, config.target), data_sets.training))
    reach.settled()

    click.get_current_context().with_resource(xla_cache.kept(config.jit))
    quiet.load_tensorflow()
    from msda_tf.stylize import run as runs
    from msda_tf.stylize import train as training
    from msda_tf.stylize.task import UnitTask

    if directory is None:
        given = directory = training.default_directory(config)
    training.load_manifests(config)
    if restart and runs.exists(directory) and not yes:
        terminal.confirm(f"Remove the run in {given} and start over?")
    if restart:
        reach.start_over()
    with quiet.kept_in(directory), TrainingProgress(console) as progress:
        _, outcome = training.train(
            config,
            directory,
            restart=restart,
            on_progress=lambda *state: progress(UnitTask, *state),
            on_note=lambda note: terminal.line(console, f"note: {note}"),
            on_saved=reach.send,
        )
        progress.finished(UnitTask, outcome)
    reach.finish()
    say(f"Trained for {config.steps} steps in {directory}")
    name = f"{config.source}_as_{config.target}"
    # TensorBoard does not reach all that Beam does.
    look = "" if files.is_url(str(given)) else f"{command_line('tensorboard', '--logdir', directory)}    then: "
    say(f"Next: {look}{command_line('msda-tf', 'stylize', 'apply', '--run', given, '--name', name)}")


@command.command(context_settings={"max_content_width": 110})
@click.option(
    "--run",
    "directory",
    required=True,
    type=types.Folder(),
    help="Run directory that stylize train wrote, or its URL.",
)
@click.option("--dataset", help="Prepared data set to re-style.  [default: the run's source]")
@click.option("--name", help="Name of the new data set.  [default: DATASET_as_TARGET]")
@click.option("--data", type=types.Folder(), help="Folder of prepared data sets, or its URL.  [default: the run's]")
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
    there = files.is_url(str(directory)) and files.is_url(str(data))
    runner = types.chosen_runner(runner, beam_options if runner else (), elsewhere=there)
    with elsewhere.Reach(beam_options, runner) as reach:
        _apply(reach, directory, dataset, name, data, step, tile, image_format, jpeg_quality, runner, force)


def _apply(reach, directory, dataset, name, data, step, tile, image_format, jpeg_quality, runner, force):
    quiet.load_tensorflow()
    from msda_tf.data.writing.images import Storage
    from msda_tf.stylize import apply as applying
    from msda_tf.stylize import run as runs

    choose = elsewhere.runs.to_use if step is None else elsewhere.runs.to_go_on(directory)
    run = runs.read(reach.run(directory, choose=choose))
    dataset = dataset or run.config.source
    name = name or f"{dataset}_as_{run.config.target}"
    data = data or run.config.data
    if runner is None:
        reach.data(data, {dataset: data_sets.every})
        reach.written_data(data, name)
        reach.settled()
    with _folders(data, dataset, name, runner) as places, counting(terminal.console(), name) as progress:
        manifest = applying.apply(
            run,
            data=places.read.parent,
            dataset=dataset,
            name=name,
            output=places.written.parent,
            step=step,
            tile=tile,
            storage=Storage(image_format=image_format, jpeg_quality=jpeg_quality),
            force=force,
            progress=progress,
            on_saved=reach.send,
            runner=places.runner,
        )
    reach.finish()
    mean = ", ".join(f"{value:.2f}" for value in manifest.mean_rgb)
    written = f"{str(data).rstrip('/')}/{name}" if files.is_url(str(data)) else manifest.directory
    say(f"{written}: {manifest.width}x{manifest.height} pixels, mean RGB {mean}")
    train_on = command_line("msda-tf", "train", "--target", run.config.target, "--sources", name, "--data", data)
    if files.is_url(str(data)):
        say(f"Next: {train_on}")
        return
    say(f"Next: {command_line('msda-tf', 'inspect', manifest.directory)}")
    say(f"then: {train_on}")


def _folders(data, dataset: str, name: str, runner) -> contextlib.AbstractContextManager[elsewhere.Folders]:
    """The folders of two data sets, or what stands for them."""
    read, written = dataset.partition(":")[0], name
    if runner is None or not files.is_url(str(data)):
        here = cache.here(data)
        return contextlib.nullcontext(elsewhere.Folders(here / read, here / written, runner))

    def but_shards(names: list[str]) -> list[str]:
        return [each for each in names if not each.endswith(".tfrecord")]

    url = str(data).rstrip("/")
    return elsewhere.folders(
        f"{url}/{read}",
        f"{url}/{written}",
        runner,
        looked_into=but_shards,
        known=but_shards,
        by_workers=lambda file: file.endswith((".tfrecord", ".tfrecord.json")),
        order=data_sets.order,
    )
