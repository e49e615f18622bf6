"""Options that several commands share."""

import math
import os
import pathlib
import re

import click

from msda_tf import files
from msda_tf.beam import runner as runners
from msda_tf.beam.runner import RUNNERS, Runner
from msda_tf.config import FIELDS
from msda_tf.errors import UsageError
from msda_tf.evaluation import palettes
from msda_tf.image_files.headers import LARGEST, MAX_PIXELS

MERGE_RULES = FIELDS["merge"].metadata["choices"]
SELECTIONS = FIELDS["select"].metadata["choices"]


class Path(click.Path):
    """A path of this machine, as `files.local_path` reads it; options as `click.Path` takes them."""

    def __init__(self, **options):
        super().__init__(path_type=pathlib.Path, **options)

    def convert(self, value, param, ctx):
        if isinstance(value, str):
            try:
                value = files.local_path(value)
            except UsageError as error:
                self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


class Folder(Path):
    """A path of this machine, or the URL of a folder elsewhere, which stays a string.

    Args:
      with_runner: whether a URL needs `--runner`, whose workers bring and send what is too much for one machine.
    """

    def __init__(self, *, with_runner: bool = False, **options):
        super().__init__(**options)
        self.with_runner = with_runner

    def convert(self, value, param, ctx):
        if isinstance(value, str) and files.is_url(value):
            # click keeps an object of its own for what was not given.
            if not self.with_runner or isinstance(ctx.params.get("runner"), str):
                return value
            self.fail(f"{value} is a URL, which takes --runner: name one, such as DirectRunner", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number within a range; neither infinite nor NaN, which lies in every range."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number: expected one such as 0.5", param, ctx)
        return number


class Size(click.ParamType):
    """WIDTHxHEIGHT, as (height, width)."""

    name = "WIDTHxHEIGHT"

    def convert(self, value, param, ctx):
        size = re.fullmatch(r"0*([1-9]\d{0,8})x0*([1-9]\d{0,8})", value.lower(), re.ASCII)
        if size is None:
            self.fail(f"{value[:60]!r} is no size: expected WIDTHxHEIGHT, such as 1024x512", param, ctx)
        return int(size[2]), int(size[1])


class Names(click.ParamType):
    """Names separated by commas, as a list."""

    name = "NAMES"

    def convert(self, value, param, ctx):
        if isinstance(value, list):
            return value
        names = [name.strip() for name in value.split(",") if name.strip()]
        if not names:
            self.fail("expected names separated by commas", param, ctx)
        return names


runs = click.option(
    "--run",
    "directories",
    multiple=True,
    required=True,
    type=Folder(),
    help="Run directory; several are merged.",
)
target = click.option("--target", help="One of several targets, or a condition such as acdc:night, alone.")
data = click.option("--data", type=Folder(), help="Folder that prepare wrote.  [default: the run's]")
split = click.option("--split", help="Split of the target.  [default: its test split]")
limit = click.option("--limit", type=click.IntRange(1), help="Score at most this many images, spread over the split.")
results = click.option("--output", required=True, type=Path(), help="Folder to write to.")
merge = click.option("--merge", type=click.Choice(MERGE_RULES), help="Rule of Max Merge.  [default: the run's]")
branches = click.option("--branches", type=Names(), help="Branches to merge, separated by commas.  [default: all]")
mean_of = click.option(
    "--mean-of", metavar="TARGET", help="Of several targets, the one that images are like: its mean is subtracted."
)
select = click.option("--select", type=click.Choice(SELECTIONS), help="Checkpoint to use.  [default: the run's]")
serve = click.option(
    "--serve",
    type=click.Choice(["teacher", "student"]),
    help="Weights to use of a run that has a teacher.  [default: the run's, the teacher]",
)
window = click.option(
    "--window",
    type=Size(),
    help="Pass images in windows of this size, half of each over the next.  [default: the run's, or whole]",
)
palette = click.option(
    "--palette",
    type=click.Choice(palettes.PALETTES),
    default=palettes.OWN,
    show_default=True,
    help="Colours of the classes: their own, or such as colour-blind eyes tell apart.",
)
runner = click.option(
    "--runner",
    metavar="NAME",
    is_eager=True,  # other options may have more values with it
    help=f"Work on Apache Beam ({', '.join(RUNNERS)}): docs/scale_out.md.  [default: in this process]",
)
beam_options = click.option(
    "--beam-option", "beam_options", multiple=True, metavar="KEY=VALUE", help="An option of --runner; may be repeated."
)
url_options = click.option(
    "--beam-option",
    "beam_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of Beam's file systems, by which URLs are reached (docs/scale_out.md); may be repeated.",
)
max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1, LARGEST),
    default=MAX_PIXELS,
    show_default=True,
    help="Refuse larger images before they are decoded; panoramas may need more.",
)


def chosen_runner(name: str | None, settings: tuple[str, ...], *, elsewhere: bool = False) -> Runner | None:
    """What --runner and --beam-option ask for; None without them. Raises UsageError as `msda_tf.beam.runner.choose`."""
    if name is None:
        if settings:
            raise UsageError(
                f"--beam-option {settings[0]} has no meaning without --runner or a URL: name one, or leave it out"
            )
        return None
    # Workers on this machine want its GPU, of which TensorFlow in this process would take all memory.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    return runners.choose(name, settings, elsewhere=elsewhere)
