"""msda-tf prepare: raw data set -> TFRecord shards and dataset.json."""

import contextlib
import pathlib

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from msda_tf.data import manifest as manifests
from msda_tf.errors import UsageError
from msda_tf.printable import printable

from . import options as types
from . import terminal
from .terminal import command_line, say

DATASETS = ("gta5", "synthia", "cityscapes", "folder", "custom", "miniature")

# Options that only some data sets read: given for another one, they are refused rather than ignored.
ONLY_FOR = {
    "raw": ("gta5", "synthia", "cityscapes", "folder", "custom"),
    "name": ("gta5", "synthia", "cityscapes", "folder", "custom"),
    "config": ("custom",),
    "lane_marking": ("synthia",),
    "test_frames": ("gta5", "synthia", "miniature"),
    "train_frames": ("miniature",),
    "seed": ("miniature",),
    "height": ("miniature",),
}


@click.command()
@click.option("--dataset", type=click.Choice(DATASETS), help="Format of the raw data.")
@click.option("--config", type=types.Path(), help="YAML file that describes a custom data set.")
@click.option("--raw", type=types.Path(), help="Raw folder.  [default: raw/<dataset>]")
@click.option(
    "--output",
    type=types.Path(file_okay=False),
    help="Folder of prepared data sets.  [default: data; for miniature data-miniature]",
)
@click.option("--name", help="Name of the prepared data set, a folder in --output.  [default: <dataset>]")
@click.option(
    "--scale", type=types.Number(0, 1, min_open=True), default=1.0, show_default=True, help="Resize all images."
)
@click.option("--image-format", type=click.Choice(("png", "jpeg")), help="Store images so.  [default: as they come]")
@click.option("--jpeg-quality", type=click.IntRange(1, 100), default=95, show_default=True)
@click.option(
    "--lane-marking",
    type=click.Choice(("ignore", "road")),
    default="ignore",
    show_default=True,
    help="What SYNTHIA's lane markings become.",
)
@click.option("--class-map", type=types.Path(), help="YAML file with other classes to map to.")
@click.option("--test-frames", type=click.IntRange(1), help="Size of the test split.  [default: 500; miniature 80]")
@click.option(
    "--train-frames", type=click.IntRange(1), default=400, help="Further frames of miniature.  [default: 400]"
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of miniature.  [default: 0]")
@click.option("--height", type=click.IntRange(32, 2160), help="Height of miniature's images.  [default: 128]")
@click.option(
    "--on-error",
    type=click.Choice(("fail", "skip")),
    default="fail",
    show_default=True,
    help="Bad frames: list them all and fail, or leave them out.",
)
@click.option("--workers", type=click.IntRange(1), help="Frames worked on at a time.  [default: all cores]")
@click.option(
    "--verify", is_flag=True, help="Read a prepared data set back and check all of it; prepare it if it is not."
)
@click.option("--force", is_flag=True, help="Start over: throw away what an earlier run wrote.")
@click.pass_context
def command(context, dataset, config, raw, output, name, verify, **options):
    """Convert a raw data set to TFRecord shards.

    Interrupted, it goes on where it stopped when it is started again.

    \b
    msda-tf prepare --dataset gta5 --raw ~/gta5
    msda-tf prepare --dataset synthia --raw ~/RAND_CITYSCAPES --lane-marking road
    msda-tf prepare --dataset cityscapes --raw ~/cityscapes --scale 0.5 --name cityscapes-half
    msda-tf prepare --dataset folder --raw ~/dashcam --name my-city
    msda-tf prepare --dataset custom --config examples/datasets/camvid.yaml --raw ~/CamVid
    msda-tf prepare --dataset miniature
    """
    if dataset is None:
        raise UsageError(f"--dataset is missing: choose one of {', '.join(DATASETS)}")
    for option, readers in ONLY_FOR.items():
        given = context.get_parameter_source(option) is not click.core.ParameterSource.DEFAULT
        if given and dataset not in readers:
            raise UsageError(f"--{option.replace('_', '-')} has no meaning for --dataset {dataset}: leave it out")
    if dataset == "miniature":
        _miniature(output or pathlib.Path("data-miniature"), verify=verify, options=options)
        return
    description = _describe(config) if dataset == "custom" else None
    name = name or (description.name if description else dataset)
    if pathlib.PurePath(name).name != name or name.startswith("."):
        raise UsageError(f"--name {name} is no folder name: use letters, digits, - and _")
    output = output or pathlib.Path("data")
    if verify and not options["force"] and (output / name / manifests.FILE_NAME).is_file():
        _verify(manifests.read(output / name), options["workers"])
        return
    raw = raw or pathlib.Path("raw") / (description.name if description else dataset)
    prepared = _prepare(_find(dataset, raw, description, options), output, name, options)
    if verify:
        _verify(prepared.manifest, options["workers"])
    if dataset in ("folder", "custom"):
        train_on = command_line("msda-tf", "train", "--data", output, "--target", name)
        say(f"Next: {train_on} --sources SOURCE,...")
    else:
        train_on = command_line("msda-tf", "train", "--target", name, "--data", output)
        say(f"Next: {train_on}    when the other data sets are prepared, too")


def _describe(config: pathlib.Path | None):
    from msda_tf.data_prep.readers import custom

    if config is None:
        raise UsageError(
            "--dataset custom needs --config FILE.yaml, which describes the data set: see examples/datasets"
        )
    return custom.read(config)


def _find(dataset: str, raw: pathlib.Path, description, options: dict):
    from msda_tf.data_prep.readers import cityscapes, custom, folder, gta5, sim_splits, synthia

    test_frames = options["test_frames"] or sim_splits.TEST_FRAMES
    if dataset == "gta5":
        return gta5.find(raw, test_frames=test_frames)
    if dataset == "synthia":
        return synthia.find(raw, test_frames=test_frames, lane_marking=options["lane_marking"])
    if dataset == "custom":
        return custom.find(raw, description)
    return {"cityscapes": cityscapes, "folder": folder}[dataset].find(raw)


def _prepare(found, output: pathlib.Path, name: str, options: dict):
    from msda_tf.data.writing.images import Storage
    from msda_tf.data_prep.conversion import convert
    from msda_tf.data_prep.labels import class_map

    if options["class_map"]:
        found = class_map.apply(found, options["class_map"])
    for notice in found.notices:
        say(f"note: {notice}")
    with _progress(name) as progress:
        prepared = convert.prepare(
            found,
            output=output,
            name=name,
            storage=Storage(options["scale"], options["image_format"], options["jpeg_quality"]),
            on_error=options["on_error"],
            workers=options["workers"],
            force=options["force"],
            progress=progress,
        )
    _summarize(prepared, output / name)
    return prepared


def _miniature(output: pathlib.Path, *, verify: bool, options: dict) -> None:
    if output == pathlib.Path("data"):
        raise UsageError("--output data is for real data sets, and miniature uses their names: choose another folder")
    from msda_tf.data_prep.miniature import generated

    with _progress("miniature") as progress:
        found = generated.find(
            output,
            train=options["train_frames"],
            test=options["test_frames"] or 80,
            seed=options["seed"],
            height=options["height"],
            workers=options["workers"],
            force=options["force"],
            progress=progress,
        )
    for name, raw in found.items():
        prepared = _prepare(raw, output, name, options)
        if verify:
            _verify(prepared.manifest, options["workers"])
    say(f"Next: {command_line('msda-tf', 'train', '--target', 'synthia', '--data', output)}")


def _verify(manifest: manifests.Manifest, workers: int | None) -> None:
    from msda_tf.data_prep.conversion.verify import verify

    with _progress(manifest.name) as progress:
        count = verify(manifest, workers=workers, progress=progress)
    say(f"{manifest.directory}: {count} images verified: checksums, sizes, labels and mean are right")


class _Rate(ProgressColumn):
    def render(self, task) -> Text:
        return Text(f"{task.speed:.0f} images/s" if task.speed else "")


@contextlib.contextmanager
def _progress(name: str):
    """Yields a `msda_tf.data_prep.convert.Progress` that draws one bar per stage."""
    columns = (terminal.text_column(), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.console(stderr=True)) as bars:
        tasks = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(printable(f"{name}: {stage}"), total=total, completed=done)
            bars.update(tasks[stage], completed=done)

        yield progress


def _summarize(prepared, directory: pathlib.Path) -> None:
    manifest = prepared.manifest
    shards = {shard for split in manifest.splits.values() for shard in split.shards}
    table = Table(title=printable(directory), title_justify="left", title_style="bold")
    for column in ("split", "images", "labels", "used for"):
        table.add_column(column, justify="right" if column == "images" else "left")
    for name, split in manifest.splits.items():
        uses = [
            use
            for use, of in (("training", manifest.training_split), ("evaluation", manifest.evaluation_split))
            if of == name
        ]
        table.add_row(printable(name), f"{split.examples}", "yes" if split.labelled else "no", ", ".join(uses))
    terminal.console().print(table)
    size = sum(shard.bytes for shard in shards)
    mean = ", ".join(f"{value:.2f}" for value in manifest.mean_rgb)
    say(f"{manifest.width}x{manifest.height} pixels, {size / 1e6:.1f} MB in {len(shards)} shards, mean RGB {mean}")
    if prepared.excluded:
        say(f"left out, as they are known to be damaged in the published data: {', '.join(prepared.excluded)}")
    if prepared.rejected:
        say(f"left out: {len(prepared.rejected)} bad frames, listed in {directory / 'rejected.csv'}")
    if prepared.reused == len(shards):
        say("nothing had to be done: it was prepared before")
    elif prepared.reused:
        say(f"{prepared.reused} of {len(shards)} shards were there from an earlier run")
