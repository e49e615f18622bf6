"""msda-tf datasets: the data sets that prepare knows by name, their descriptions, and getting them."""

import contextlib
import pathlib

import click
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TransferSpeedColumn

from msda_tf.data_prep import catalog
from msda_tf.data_prep.readers import READERS
from msda_tf.errors import MsdaError, UsageError
from msda_tf.printable import printable

from . import options, terminal
from .terminal import command_line, say, text_column


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME | get NAME]")
@click.option("--output", type=options.Path(file_okay=False), help="Folder that get writes to.  [default: raw/NAME]")
@click.option("--remove-archives", is_flag=True, help="After get has unpacked them.")
def command(words, output, remove_archives):
    """List the data sets that prepare knows by name; print one's description; get one.

    A description is the YAML file that prepare reads: copy and change it for data of your own. What can be had without
    a form is fetched, checked and unpacked by get; interrupted, it goes on where it stopped.

    \b
    msda-tf datasets
    msda-tf datasets camvid > mine.yaml
    msda-tf datasets get urbansyn --output ~/urbansyn
    """
    if not words:
        _list()
    elif words[0] == "get":
        if len(words) != 2:
            raise UsageError("get takes one data set: msda-tf datasets get NAME")
        _get(_known(words[1]), output or pathlib.Path("raw") / words[1], remove_archives=remove_archives)
    elif len(words) == 1:
        for line in catalog.path(_known(words[0])).read_text(encoding="utf-8").splitlines():
            say(line)
    else:
        raise UsageError(f"one data set at a time: {words[1]!r} is too much")


def _known(name: str) -> str:
    if name not in catalog.names():
        raise UsageError(f"no data set {name!r}; there are {', '.join(catalog.names())}")
    return name


def _list() -> None:
    names = [name for name in READERS if name in catalog.names()]
    for name in [*names, *(name for name in catalog.names() if name not in READERS)]:
        entry = catalog.entry(name)
        about = entry.about
        say(name, bold=True)
        say(f"  {about.what}: {about.images}, {about.size}")
        others = f" (or --classes {', '.join(entry.other_classes)})" if entry.other_classes else ""
        say(f"  {entry.classes} classes{others}; {about.licence}" + (f"; {about.note}" if about.note else ""))
        if about.get:
            say(f"  from {entry.download}, or msda-tf datasets get {name}")
        else:
            say(f"  from {entry.download}: {about.files}")
        for line in entry.layouts:
            say(f"  {line}")
    say(
        "Also: --dataset folder (images alone), custom (a YAML file of yours), miniature (drawn). See docs/datasets.md."
    )


def _get(name: str, output: pathlib.Path, *, remove_archives: bool) -> None:
    from msda_tf import lock
    from msda_tf.data_prep.downloads import fetch, unpack

    entry = catalog.entry(name)
    go_on = command_line("msda-tf", "prepare", "--dataset", name, "--raw", output)
    if not entry.about.get:
        raise MsdaError(
            f"{name} cannot be fetched from here: take {entry.about.files} from {entry.download}, put them into"
            f" {output} as {entry.layouts[0]}, and go on with {go_on}"
        )
    archives = output / "archives"
    output.mkdir(parents=True, exist_ok=True)
    packed = []
    with lock.hold(output, "msda-tf datasets get"):
        for download in entry.about.get:
            with _bytes() as progress:
                archive = fetch.fetch(download.url, archives, checksum=download.checksum, progress=progress)
            with _files() as progress:
                count = unpack.unpack(archive, output / download.into, progress=progress)
            if count is None:
                packed.append(archive)
                continue
            say(f"{archive.name}: {count} files in {output / download.into}")
            if remove_archives:
                archive.unlink(missing_ok=True)
    for archive in packed:
        say(f"{archive} is neither a ZIP nor a TAR archive: unpack it into {output} yourself, as {entry.layouts[0]}")
    say(f"Next: {go_on}")


@contextlib.contextmanager
def _bytes():
    """Yields a `msda_tf.data_prep.downloads.fetch.Progress` that draws a bar."""
    columns = (text_column(), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with _bar(columns) as update:
        yield update


@contextlib.contextmanager
def _files():
    """Yields a `msda_tf.data_prep.downloads.unpack.Progress` that draws a bar."""
    with _bar((text_column("unpacking {task.description}"), BarColumn(), MofNCompleteColumn())) as update:
        yield update


@contextlib.contextmanager
def _bar(columns):
    with Progress(*columns, console=terminal.console(stderr=True)) as bars:
        tasks = {}

        def update(name, done, total):
            if name not in tasks:
                tasks[name] = bars.add_task(printable(name), total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield update
