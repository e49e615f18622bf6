"""msda-tf inspect: figures and pictures of a prepared data set."""

import click
from rich.table import Table

from msda_tf import files
from msda_tf.data import manifest as manifests
from msda_tf.errors import UsageError
from msda_tf.printable import printable

from . import options, terminal
from .terminal import say


@click.command()
@click.argument("folder", type=options.Path())
@click.option(
    "--output",
    type=options.Path(file_okay=False),
    help="Where to write inspect.html and inspect.png.  [default: the data set's own folder]",
)
@click.option("--split", help="Split whose images are shown.  [default: the one trained on]")
@click.option("--images", type=click.IntRange(1, 200), default=12, show_default=True, help="How many to show.")
def command(folder, output, split, images):
    """Look at a prepared data set: the first thing to do when a result is odd.

    Prints its figures and what is odd about them, and writes them with a class histogram (beside the other data sets
    in the same folder) and a contact sheet of images with their labels as one HTML page and one PNG.

    \b
    msda-tf inspect data/gta5
    """
    from msda_tf.data_prep.inspection import inspect as inspection
    from msda_tf.data_prep.inspection import page as inspection_page
    from msda_tf.data_prep.inspection import pictures as inspection_pictures
    from msda_tf.evaluation.pictures import write_png

    if not (folder / manifests.FILE_NAME).is_file() and (inside := manifests.available(folder)):
        raise UsageError(f"{folder} holds several data sets: name one of them, as {folder / inside[0]}")
    manifest = manifests.read(folder)
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
