"""Progress of a command that works through a known number of images, and times as they are printed."""

import contextlib
from collections.abc import Callable, Iterator

from rich import filesize
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from msda_tf.printable import printable

from . import terminal
from .terminal import text_column


@contextlib.contextmanager
def counting(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function of (done, count): it shows a bar on a terminal, and a line every tenth of the way elsewhere."""
    if not console.is_terminal:
        yield _tenths(console, lambda done, count: f"{what}: {done} of {count or 'unknown'} images")
        return
    columns = (text_column(), BarColumn(), MofNCompleteColumn(), text_column("left"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(printable(what), total=None)
        yield lambda done, count: progress.update(task, completed=done, total=count or None)


@contextlib.contextmanager
def transferring(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """As `counting`, of (bytes done, bytes in all); nothing is shown before there is something to do."""
    if not console.is_terminal:
        yield _tenths(console, lambda done, total: f"{what}: {filesize.decimal(done)} of {filesize.decimal(total)}")
        return
    columns = (text_column(), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with contextlib.ExitStack() as showing:
        bar = None

        def draw(done, total):
            nonlocal bar
            if bar is None:
                progress = showing.enter_context(Progress(*columns, console=console))
                bar = progress, progress.add_task(printable(what), total=total)
            bar[0].update(bar[1], completed=done)

        yield draw


def _tenths(console: Console, words: Callable[[int, int], str]) -> Callable[[int, int], None]:
    """A function of (done, in all) that prints a line every tenth of the way."""
    shown = -1

    def report(done, total):
        nonlocal shown
        # Videos do not always tell how long they are.
        part = done * 10 // total if total else done // 100
        if part != shown:
            shown = part
            terminal.line(console, words(done, total))

    return report


def duration(seconds: float) -> str:
    """Whole minutes, as people say it: "7 min", "3 h 05 min"."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
