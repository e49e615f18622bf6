"""What the command prints: every line, table and name goes through here.

Names of files, runs and data sets, and what a server says, may hold escape codes, newlines or Rich's own markup
(`[old]`, `:car:`): they are shown, and never act.
"""

import contextlib
import functools
import json
import os
import pathlib
import shlex
from collections.abc import Iterator

import click
from rich.console import Console
from rich.progress import TextColumn

from msda_tf.printable import printable
from msda_tf.remote.place import Place


def console(**options) -> Console:
    """A console that takes strings for what they are: no markup, no emoji codes, no colours by guess."""
    return Console(markup=False, emoji=False, highlight=False, **options)


_places: list[Place] = []


@contextlib.contextmanager
def shown_as(place: Place) -> Iterator[None]:
    """In the block, what is said names what lies elsewhere by its URL, not by the folder here that stands for it."""
    _places.append(place)
    try:
        yield
    finally:
        _places.remove(place)


def with_urls(text: object) -> str:
    """A text with URLs instead of folders that stand for them."""
    return functools.reduce(lambda words, place: place.words(words), _places, str(text))


def say(text: object = "", *, err: bool = False, **style) -> None:
    """Prints one line, with whatever names are in it; `style` as `click.style` takes it."""
    click.secho(printable(with_urls(text)), err=err, **style)


def line(shown: Console, text: object, **style) -> None:
    """The same beside a console's live display, which it must not cut through; `style` as `Console.print` takes it."""
    shown.print(printable(with_urls(text)), soft_wrap=True, **style)


def title(shown: Console, text: str | None, *, first: bool = False) -> None:
    """Names the window of the terminal; None gives it back the name that it had before the `first` one.

    Terminals that do not know how, and everything that is none, are left alone.
    """
    if not shown.is_terminal or shown.is_dumb_terminal or shown.legacy_windows:
        return
    # Xterm's stack of titles; terminals without one ignore it.
    keep = "\x1b[22;0t" if first else ""
    shown.file.write("\x1b]0;\x07\x1b[23;0t" if text is None else f"{keep}\x1b]0;msda-tf: {printable(text)}\x07")
    shown.file.flush()


def say_json(value: object) -> None:
    """Prints indented JSON, in ASCII, where no name can act."""
    click.echo(json.dumps(value, indent=1))


def confirm(question: str) -> None:
    """Asks; raises `click.Abort` unless the answer is yes."""
    click.confirm(printable(question), abort=True)


def text_column(text: str = "{task.description}") -> TextColumn:
    """A column of a progress bar that does not take `[` in names for markup."""
    return TextColumn(text, markup=False)


def command_line(*words: object) -> str:
    """A command as it can be pasted into a shell, whatever its words hold.

    A path that would be taken for an option or a home folder begins with `./`.
    """
    return " ".join(map(_quoted, words))


def _quoted(word: object) -> str:
    text = str(word)
    if isinstance(word, pathlib.PurePath) and text.startswith(("-", "~")):
        text = f"./{text}"
    if text.isprintable():
        return shlex.quote(text)
    # bash, zsh and ksh know $'...'; what shows stays readable.
    escaped = (
        character.replace("\\", "\\\\").replace("'", "\\'")
        if character.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
        for character in text
    )
    return f"$'{''.join(escaped)}'"
