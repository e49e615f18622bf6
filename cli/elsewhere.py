"""Data and results at URLs, for commands that work on a runner of Beam."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from msda_tf import files
from msda_tf.beam import remote
from msda_tf.beam.runner import Runner
from msda_tf.errors import MsdaError, UsageError


@dataclass(frozen=True)
class Folders:
    """Where a command reads and writes, on this machine.

    Attributes:
      read, written: the folders, or their shadows.
      runner: as it was chosen, and it knows of the shadows.
    """

    read: pathlib.Path
    written: pathlib.Path
    runner: Runner | None


@contextlib.contextmanager
def folders(
    read: pathlib.Path | str,
    written: pathlib.Path | str,
    runner: Runner | None,
    *,
    looked_into: Callable[[list[str]], Iterable[str]] = lambda names: (),
    known: Callable[[list[str]], Iterable[str]],
    by_workers: Callable[[str], bool],
    last: str | None = None,
) -> Iterator[Folders]:
    """Yields the folders to work with; afterwards results are where they were asked for, also after an error.

    Args:
      read, written: a path, or the URL of a folder.
      runner: whose workers read and write what lies elsewhere; None if nothing does.
      looked_into: of the names of files in `read`, those whose content is needed here, not by workers alone.
      known: the same of `written`.
      by_workers: tells of the name of a file without its folder whether workers send it.
      last: the file by which others know that all results are there.

    Raises:
      UsageError: there is a URL that cannot be reached, or one within the other.
      MsdaError: what lies there cannot be read.
    """
    urls = [str(each) for each in (read, written) if files.is_url(str(each))]
    if not urls:
        yield Folders(read, written, runner)
        return
    if f"{written}/".startswith(f"{str(read).rstrip('/')}/"):
        raise UsageError(f"{written} lies in {read}: the next run would take results for data; choose another --output")
    remote.connect(runner.flags)
    places, mirror = [], None
    with contextlib.ExitStack() as stack:
        if files.is_url(str(read)):
            places.append(stack.enter_context(remote.shadow(remote.check(read), brought=looked_into)))
            read = places[-1].here
        else:
            read = read.resolve()  # a worker's current folder is another
        if files.is_url(str(written)):
            places.append(stack.enter_context(remote.shadow(remote.check(written), brought=known)))
            mirror, written = remote.Mirror(places[-1], by_workers), places[-1].here
        else:
            written = written.resolve()
        try:
            yield Folders(read, written, dataclasses.replace(runner, places=tuple(places), mirror=mirror))
        except BaseException as error:
            if mirror:
                # So that the next run goes on; what went wrong first is what is said.
                with contextlib.suppress(Exception):
                    mirror.sync(last=last)
            if isinstance(error, MsdaError):
                raise type(error)(_with_urls(str(error), places)) from None
            raise
        if mirror:
            mirror.sync(last=last)


def _with_urls(text: str, places: list[remote.Place]) -> str:
    for place in places:
        text = text.replace(str(place.here), place.there)
    return text
