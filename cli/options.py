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
merge = click.option("--merge", type=click.Choice(MERGE_RULES), help="Rule of Max Merge.  [default: the run's]")
branches = click.option("--branches", type=Names(), help="Branches to merge, separated by commas.  [default: all]")
select = click.option("--select", type=click.Choice(["last", "best"]), help="Checkpoint to use.  [default: the run's]")
