"""msda-tf inspect: figures and pictures of a prepared data set, or the classes of several beside one another."""

import dataclasses

import click
from rich.table import Table

from msda_tf import files
from msda_tf.data import manifest as manifests
from msda_tf.errors import UsageError
from msda_tf.evaluation import palettes
from msda_tf.printable import printable

from . import options, terminal
from .terminal import say


@click.command()
@click.argument("folders", type=options.Path(), nargs=-1, required=True, metavar="FOLDER...")
@click.option(
    "--output",
    type=options.Path(file_okay=False),
    help="Where to write inspect.html and inspect.png.  [default: the data set's own folder]",
)
@click.option("--split", help="Split whose images are shown.  [default: the one trained on]")
@click.option("--images", type=click.IntRange(1, 200), default=12, show_default=True, help="How many to show.")
@options.palette
@click.option("--target", "targets", type=options.Path(), multiple=True, help="Of several folders, one adapted to.")
@click.option("--common", type=options.Path(dir_okay=False), help="Of several: write a class map with what all show.")
@click.pass_context
def command(context, folders, output, split, images, palette, targets, common):
    """Look at a prepared data set: the first thing to do when a result is odd.

    Prints its figures and what is odd about them, and writes them with a class histogram (beside the other data sets
    in the same folder) and a contact sheet of images with their labels as one HTML page and one PNG.

    Of several, prints which classes each shows and what no source teaches.

    \b
    msda-tf inspect data/gta5
    msda-tf inspect data/gta5 data/camvid data/acdc --target data/acdc
    msda-tf inspect data/gta5 data/camvid --common common.yaml
    """
    if len(folders) > 1 or targets:
        _refuse(context, ("output", "split", "images", "palette"), "several data sets")
        _compare([*folders, *(target for target in targets if target not in folders)], targets, common)
        return
    _refuse(context, ("common",), "one data set")
    _inspect(folders[0], output, split, images, palette)


def _refuse(context: click.Context, meaningless: tuple[str, ...], what: str) -> None:
    for option in meaningless:
        if context.get_parameter_source(option) is not click.core.ParameterSource.DEFAULT:
            raise UsageError(f"--{option} has no meaning for {what}: leave it out")


def _read(folder) -> manifests.Manifest:
    if not (folder / manifests.FILE_NAME).is_file() and (inside := manifests.available(folder)):
        raise UsageError(f"{folder} holds several data sets: name one of them, as {folder / inside[0]}")
    return manifests.read(folder)


def _compare(folders, targets, common) -> None:
    from msda_tf.data_prep.inspection import compare

    found = {folder: _read(folder) for folder in folders}
    every = list(found.values())
    table = Table()
    table.add_column("class")
    for manifest in every:
        table.add_column(printable(manifest.name), justify="right", overflow="fold")
    for row in compare.table(every):
        table.add_row(*map(printable, row))
    console = terminal.console()
    (console if console.is_terminal else terminal.console(width=200)).print(table)
    say("share of the labelled pixels; none: never shows, -: is not in its list, ?: has no labels")
    for sentence in compare.sentences(every, [found[target] for target in targets]):
        say(f"- {sentence}")
    if common:
        names = compare.write_common(every, common)
        say(f"wrote {common}: {len(names)} classes. Next: prepare each again with --class-map {common}")


def _inspect(folder, output, split, images, palette) -> None:
    from msda_tf.data_prep.inspection import inspect as inspection
    from msda_tf.data_prep.inspection import page as inspection_page
    from msda_tf.data_prep.inspection import pictures as inspection_pictures
    from msda_tf.evaluation.pictures import write_png

    manifest = _read(folder)
    manifest = dataclasses.replace(manifest, classes=palettes.recoloured(manifest.classes, palette))
    split = split or manifest.training_split
    if split not in manifest.splits:
        raise UsageError(f"{folder} has no split {split!r}: there are {', '.join(manifest.splits)}")
    others = inspection.neighbours(manifest)
    oddities = inspection.oddities(manifest, others)
    _print(manifest, oddities, inspection_page)
    sheet = inspection_pictures.contact_sheet(inspection.sample(manifest, split, images), manifest.classes)
    histogram = inspection_pictures.histogram(manifest, others, width=max(sheet.shape[1], 1000))
    output = output or folder
    output.mkdir(parents=True, exist_ok=True)
    text = inspection_page.page(
        manifest, others=others, oddities=oddities, histogram=histogram, sheet=sheet, sheet_split=split
    )
    with files.replacing(output / "inspect.html") as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_png(output / "inspect.png", inspection_page.picture(histogram, sheet))
    say(f"wrote {output / 'inspect.html'} and {output / 'inspect.png'}")


def _print(manifest: manifests.Manifest, oddities: list[str], inspection_page) -> None:
    table = Table(title=printable(manifest.directory), title_justify="left", title_style="bold")
    for column in inspection_page.SPLITS_HEADER:
        table.add_column(column, justify="right" if column in ("images", "shards", "MB", "ignored pixels") else "left")
    for row in inspection_page.splits_table(manifest):
        table.add_row(*map(printable, row))
    terminal.console().print(table)
    mean = ", ".join(f"{value:.2f}" for value in manifest.mean_rgb)
    say(f"{manifest.width}x{manifest.height} pixels, {len(manifest.classes)} classes, mean RGB {mean}")
    for sentence in oddities:
        say(f"- {sentence}")
