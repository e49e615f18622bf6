"""Progress of a command that works through a known number of images, and times as they are printed."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def counting(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function of (done, count): it shows a bar on a terminal, and a line every tenth of the way elsewhere."""
    if not console.is_terminal:
        shown = -1

        def report(done, count):
            nonlocal shown
            # Videos do not always tell how long they are.
            part = done * 10 // count if count else done // 100
            if part != shown:
                shown = part
                console.print(f"{what}: {done} of {count or 'unknown'} images", highlight=False)

        yield report
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, count: progress.update(task, completed=done, total=count or None)


def duration(seconds: float) -> str:
    """Whole minutes, as people say it: "7 min", "3 h 05 min"."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
