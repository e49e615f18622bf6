"""msda-tf prepare: raw data set -> TFRecord shards and dataset.json."""

import collections
import contextlib
import difflib
import pathlib
import posixpath
import re

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from msda_tf import files
from msda_tf.data import elsewhere as data_sets
from msda_tf.data import manifest as manifests
from msda_tf.data_prep.readers import DESCRIBED, READERS, Reader
from msda_tf.errors import UsageError
from msda_tf.printable import printable

from . import elsewhere, terminal
from . import options as types
from .options import beam_options, chosen_runner, max_pixels, runner
from .terminal import command_line, say

# Shards and their notes, which workers of a runner send to where results lie.
_BY_WORKERS = re.compile(r"\.?\w+\.tfrecord(\.json)?")

PAPER = ("gta5", "synthia", "cityscapes")
"""The data sets that are sources of one another without being named."""

# Options that only some readers take, from the table of readers: given for another one, they are refused.
READER_OPTIONS = tuple(dict.fromkeys(option for reader in READERS.values() for option in reader.options))


@click.command()
@click.option(
    "--dataset",
    metavar="NAME",
    help=f"{', '.join(READERS)}, or a name that msda-tf datasets lists: what the raw data are.",
)
@click.option("--config", type=types.Path(), help="YAML file that describes a custom data set.")
@click.option("--raw", type=types.Folder(with_runner=True), help="Raw folder.  [default: raw/<dataset>]")
@click.option(
    "--output",
    type=types.Folder(with_runner=True, file_okay=False),
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
@click.option("--classes", metavar="LIST", help="Map to a list of classes that has a name, such as idd-7.")
@click.option(
    "--test-frames", type=click.IntRange(1, 10**6), help="Size of the test split.  [default: 500; miniature 80]"
)
@click.option(
    "--train-frames", type=click.IntRange(1, 10**5), default=400, help="Further frames of miniature.  [default: 400]"
)
@click.option(
    "--every",
    type=types.Number(0, 3600, min_open=True),
    default=1.0,
    help="Seconds between the frames that are taken of a film.  [default: 1]",
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
@max_pixels
@click.option("--workers", type=click.IntRange(1), help="Frames worked on at a time.  [default: all cores]")
@runner
@beam_options
@click.option(
    "--verify", is_flag=True, help="Read a prepared data set back and check all of it; prepare it if it is not."
)
@click.option("--force", is_flag=True, help="Start over: throw away what an earlier run wrote.")
@click.pass_context
def command(context, dataset, raw, output, name, verify, runner, beam_options, **options):
    """Convert a raw data set to TFRecord shards.

    Interrupted, it goes on where it stopped when it is started again.

    \b
    msda-tf prepare --dataset gta5 --raw ~/gta5
    msda-tf prepare --dataset synthia --raw ~/RAND_CITYSCAPES --lane-marking road
    msda-tf prepare --dataset cityscapes --raw ~/cityscapes --scale 0.5 --name cityscapes-half
    msda-tf prepare --dataset acdc --raw ~/acdc
    msda-tf prepare --dataset gta5 --raw ~/gta5 --classes idd-7 --name gta5-idd
    msda-tf prepare --dataset folder --raw ~/dashcam --name my-city
    msda-tf prepare --dataset folder --raw drive.mp4 --name my-city --every 0.5
    msda-tf prepare --dataset custom --config mine.yaml --raw ~/mine
    msda-tf prepare --dataset miniature
    msda-tf prepare --dataset gta5 --raw /mnt/gta5 --output /mnt/data --runner FlinkRunner \\
      --beam-option flink_master=flink:8081
    """
    if dataset is None:
        raise UsageError(f"--dataset is missing: choose one of {', '.join([*READERS, *_described()])}")
    reader = _reader(dataset)
    _refuse_meaningless(context, dataset, reader)
    if options["classes"] and options["class_map"]:
        raise UsageError("--classes and --class-map both say which classes to map to: leave one out")
    if reader.drawn:
        _miniature(output or pathlib.Path("data-miniature"), verify=verify, options=options)
        return
    both_elsewhere = files.is_url(str(raw)) and files.is_url(str(output))
    chosen = chosen_runner(runner, beam_options, elsewhere=both_elsewhere)
    description = _describe(dataset, options) if reader.module == DESCRIBED.module else None
    known_as = dataset if description is None else description.name
    name = name or known_as
    if pathlib.PurePath(name).name != name or name.startswith("."):
        raise UsageError(f"--name {name} is no folder name: use letters, digits, - and _")
    output = output or pathlib.Path("data")
    if verify and files.is_url(str(output)):
        raise UsageError(f"--verify reads shards, and {output} is a URL: copy the data set to this machine first")
    if verify and not options["force"] and (output / name / manifests.FILE_NAME).is_file():
        _verify(manifests.read(output / name), options["workers"])
        return
    written = f"{output.rstrip('/')}/{name}" if files.is_url(str(output)) else output / name
    with elsewhere.folders(
        raw or pathlib.Path("raw") / known_as,
        written,
        chosen,
        looked_into=_lists,
        known=lambda names: [each for each in names if not each.endswith(".tfrecord")],
        by_workers=lambda file: _BY_WORKERS.fullmatch(file) is not None,
        order=data_sets.order,
    ) as places:
        raw, here = places.read, places.written.parent
        if description is not None:
            found = reader.load().find(raw, description, kind=dataset)
        else:
            if reader is READERS["folder"]:
                if files.is_url(str(output)) and raw.is_file():
                    raise UsageError(
                        f"{raw} is a film, whose frames are kept on this machine: name a path with --output"
                    )
                raw = _frames(context, raw, here / "raw" / name, options)
            given = {option: options[option] for option in reader.options if options[option] is not None}
            found = reader.load().find(raw, **given)
        prepared = _prepare(found, here, name, options | {"runner": places.runner})
        _summarize(prepared, str(written))
    if verify:
        _verify(prepared.manifest, options["workers"])
    if files.is_url(str(output)):
        say("Next: copy it to a folder that training sees, and name that with msda-tf train --data")
    elif dataset in PAPER:
        train_on = command_line("msda-tf", "train", "--target", name, "--data", output)
        say(f"Next: {train_on}    when the other data sets are prepared, too")
    else:
        train_on = command_line("msda-tf", "train", "--data", output, "--target", name)
        say(f"Next: {train_on} --sources SOURCE,...")


def _lists(names: list[str]) -> list[str]:
    """JSON files that are about many frames, which readers look into; where there are many, each is of one frame."""
    found = [name for name in names if name.endswith(".json")]
    counts = collections.Counter(map(posixpath.dirname, found))
    return [name for name in found if counts[posixpath.dirname(name)] < 10]


def _frames(context: click.Context, raw: pathlib.Path, folder: pathlib.Path, options: dict) -> pathlib.Path:
    """The folder of images: of a film, that of the frames taken of it."""
    from msda_tf.data_prep.files import film_frames
    from msda_tf.image_files import film

    every, options["every"] = options["every"], None  # the reader finds images
    if not film.is_film(raw):
        if context.get_parameter_source("every") is not click.core.ParameterSource.DEFAULT:
            raise UsageError(f"--every has no meaning for {raw}, which is no film: leave it out")
        return raw
    with _progress(folder.name) as progress:
        notices = film_frames.extract(raw, folder, every=every, force=options["force"], progress=progress)
    for notice in notices:
        say(f"note: {notice}")
    return folder


def _described() -> list[str]:
    """Names of the data sets in the catalogue that have no reader of their own."""
    from msda_tf.data_prep import catalog

    return [name for name in catalog.names() if name not in READERS]


def _reader(dataset: str) -> Reader:
    if dataset in READERS:
        return READERS[dataset]
    described = _described()
    if dataset in described:
        return DESCRIBED
    names = [*READERS, *described]
    near = difflib.get_close_matches(dataset.lower().replace("-", "_"), names, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"--dataset: {dataset!r} is not one of {', '.join(names)}: {guess}msda-tf datasets describes them")


def _refuse_meaningless(context: click.Context, dataset: str, reader: Reader) -> None:
    of_files = ("raw", "name", "runner", "beam_options")
    for option in (*of_files, *READER_OPTIONS):
        given = context.get_parameter_source(option) is not click.core.ParameterSource.DEFAULT
        if given and option not in (() if reader.drawn else of_files) + reader.options:
            option = "beam-option" if option == "beam_options" else option.replace("_", "-")
            raise UsageError(f"--{option} has no meaning for --dataset {dataset}: leave it out")


def _describe(dataset: str, options: dict):
    """The description of a data set, with the classes that --classes asks for if it has them itself."""
    from msda_tf.data_prep import catalog
    from msda_tf.data_prep.readers import description as descriptions

    if dataset == "custom" and options["config"] is None:
        raise UsageError(
            "--dataset custom needs --config FILE.yaml, which describes the data set: msda-tf datasets NAME prints one"
            " to copy and change"
        )
    described = descriptions.read(options["config"] if dataset == "custom" else catalog.path(dataset))
    if options["classes"] in described.other_classes:
        described = described.with_classes(options["classes"])
        options["classes"] = None
    return described


def _prepare(found, output: pathlib.Path, name: str, options: dict):
    from msda_tf.data.writing.images import Storage
    from msda_tf.data_prep.conversion import convert
    from msda_tf.data_prep.labels import class_map, named_lists

    if options["class_map"]:
        found = class_map.apply(found, options["class_map"])
    if options["classes"]:
        if options["classes"] not in named_lists.names():
            raise UsageError(f"--classes: {options['classes']!r} is not one of {', '.join(named_lists.names())}")
        found = class_map.apply_list(found, options["classes"])
    for notice in found.notices:
        say(f"note: {notice}")
    with _going_on(), _progress(name) as progress:
        prepared = convert.prepare(
            found,
            output=output,
            name=name,
            storage=Storage(options["scale"], options["image_format"], options["jpeg_quality"]),
            on_error=options["on_error"],
            max_pixels=options["max_pixels"],
            workers=options["workers"],
            force=options["force"],
            progress=progress,
            runner=options.get("runner"),
        )
    for notice in prepared.notices:
        say(f"note: {notice}")
    return prepared


def _miniature(output: pathlib.Path, *, verify: bool, options: dict) -> None:
    if files.is_url(str(output)):
        raise UsageError(f"{output} is a URL: expected a path on this machine, where miniature is drawn")
    if output == pathlib.Path("data"):
        raise UsageError("--output data is for real data sets, and miniature uses their names: choose another folder")
    from msda_tf.data_prep.miniature import generated

    with _going_on(), _progress("miniature") as progress:
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
        _summarize(prepared, str(output / name))
        if verify:
            _verify(prepared.manifest, options["workers"])
    say(f"Next: {command_line('msda-tf', 'train', '--target', 'synthia', '--data', output)}")


def _verify(manifest: manifests.Manifest, workers: int | None) -> None:
    from msda_tf.data_prep.conversion.verify import verify

    with _progress(manifest.name) as progress:
        count = verify(manifest, workers=workers, progress=progress)
    say(f"{manifest.directory}: {count} images verified: checksums, sizes, labels and mean are right")


@contextlib.contextmanager
def _going_on():
    """Says, to whoever presses Ctrl-C, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say("msda-tf: interrupted: the same command goes on where it stopped", err=True)
        raise


class _Rate(ProgressColumn):
    def render(self, task) -> Text:
        return Text(f"{task.speed:.0f} images/s" if task.speed else "")


@contextlib.contextmanager
def _progress(name: str):
    """Yields a `msda_tf.data_prep.conversion.convert.Progress` that draws one bar per stage."""
    columns = (terminal.text_column(), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.console(stderr=True)) as bars:
        tasks = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(printable(f"{name}: {stage}"), total=total, completed=done)
            bars.update(tasks[stage], completed=done)

        yield progress


def _summarize(prepared, directory: str) -> None:
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
        say(f"left out: {len(prepared.rejected)} bad frames, listed in {directory}/rejected.csv")
    if prepared.reused == len(shards):
        say("nothing had to be done: it was prepared before")
    elif prepared.reused:
        say(f"{prepared.reused} of {len(shards)} shards were there from an earlier run")
