"""Writes the tables of settings into their pages, from the configurations themselves: python docs/write_settings.py"""

import inspect
import pathlib
import re
import types
import typing

from msda_tf.config import TrainConfig, knobs
from msda_tf.methods import METHODS
from msda_tf.models.backbones import BACKBONES
from msda_tf.models.decoders import DECODERS
from msda_tf.stylize.config import StylizeConfig

PAGES = {"configuration.md": (TrainConfig, "##"), "stylize.md": (StylizeConfig, "###")}
"""Page of this folder -> the configuration whose settings it shows between its two marks, and its headings' mark."""

TABLES = {"method": METHODS, "backbone": BACKBONES, "decoder": DECODERS}
"""Setting -> the table that its values are names of."""

BEGIN = "<!-- settings: written by `make docs`, change the knobs instead -->"
END = "<!-- end of the settings -->"

_HEADER = "| key | default | allowed | what it does, and why the default |\n|---|---|---|---|"


def page(name: str) -> str:
    """The whole text of a page of `PAGES` as it should be."""
    text = (pathlib.Path(__file__).parent / name).read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{tables(*PAGES[name])}\n{END}{after}"


def tables(kind: type, heading: str) -> str:
    """Markdown: a table for each group of a configuration's knobs, which comments in its class begin, and one for each
    knob whose values are names of something.
    """
    values, hints = knobs.to_dict(kind()), typing.get_type_hints(kind)
    lines = []
    for line in inspect.getsource(kind).splitlines():
        if group := re.match(r"    # (.+)", line):
            lines += ["", f"{heading} {group[1]}", "", _HEADER]
        elif (key := re.match(r"    (\w+):", line)) and key[1] in values:
            lines.append(_row(key[1], values[key[1]], hints[key[1]], knobs.fields(kind)[key[1]].metadata))
    for key, table in TABLES.items():
        if key in values:
            lines += ["", f"{heading} Values of `{key}`", "", f"| `{key}` | what it is |", "|---|---|"]
            lines += [f"| `{name}` | {entry.summary} |" for name, entry in table.items()]
    return "\n".join(lines[1:]) + "\n"


def _row(key: str, value, hint, metadata) -> str:
    default = "" if value in ("", []) else f"`{_yaml(value)}`"
    return f"| `{key}` | {default} | {_allowed(hint, metadata)} | {metadata['reason']}{_only_for(metadata)} |"


def _yaml(value) -> str:
    """As one would type it."""
    return (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    )


def _allowed(hint, metadata) -> str:
    if metadata["choices"]:
        return ", ".join(f"`{choice}`" for choice in metadata["choices"])
    parts = hint.__args__ if isinstance(hint, types.UnionType) else (hint,)
    return " or ".join("`null`" if part is types.NoneType else _kind(part, metadata["minimum"]) for part in parts)


def _kind(hint, minimum) -> str:
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        if items[-1] is not Ellipsis:
            return "`[width, height]`" if items[0] is int else f"{len(items)} numbers from {minimum}"
        return {str: "names", int: "whole numbers"}[items[0]] + ("" if minimum is None else f" from {minimum}")
    if hint is bool:
        return "`true`, `false`"
    named = {str: "text", int: "a whole number", float: "a number"}[hint]
    return named if minimum is None else f"{named} from {minimum}"


def _only_for(metadata) -> str:
    """Other settings' values without which nothing reads this one."""
    beside = [
        f"`{other}` = " + " or ".join(f"`{_yaml(value)}`" for value in values)
        for other, values in metadata.get("only_for", {}).items()
    ]
    return f". Only with {' and '.join(beside)}" if beside else ""


if __name__ == "__main__":
    for each in PAGES:
        (pathlib.Path(__file__).parent / each).write_text(page(each), encoding="utf-8")
