"""Options that several commands share."""

import pathlib

import click

from msda_tf.config import FIELDS

MERGE_RULES = FIELDS["merge"].metadata["choices"]


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
    type=click.Path(path_type=pathlib.Path),
    help="Run directory; several are merged.",
)
data = click.option(
    "--data", type=click.Path(path_type=pathlib.Path), help="Folder that prepare wrote.  [default: the run's]"
)
split = click.option("--split", help="Split of the target.  [default: its test split]")
limit = click.option("--limit", type=click.IntRange(1), help="Score at most this many images, spread over the split.")
results = click.option("--output", required=True, type=click.Path(path_type=pathlib.Path), help="Folder to write to.")
merge = click.option("--merge", type=click.Choice(MERGE_RULES), help="Rule of Max Merge.  [default: the run's]")
branches = click.option("--branches", type=Names(), help="Branches to merge, separated by commas.  [default: all]")
select = click.option("--select", type=click.Choice(["last", "best"]), help="Checkpoint to use.  [default: the run's]")
