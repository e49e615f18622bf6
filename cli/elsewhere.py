"""Raw data and results at URLs, for commands that work on a runner of Beam."""

import collections
import contextlib
import dataclasses
import pathlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from msda_tf import files
from msda_tf.beam import remote
from msda_tf.beam.runner import Runner
from msda_tf.data import manifest as manifests
from msda_tf.errors import MsdaError, UsageError

# Shards and their notes, which workers send.
_BY_WORKERS = re.compile(r"\.?\w+\.tfrecord(\.json)?")


@dataclass(frozen=True)
class Folders:
    """Where a data set is prepared from and to, on this machine.

    Attributes:
      raw: folder of raw data, or its shadow.
      output: folder of prepared data sets, or that of the shadow of one.
      runner: as it was chosen, and it knows of the shadows.
      shown: what the prepared data set's folder is called.
    """

    raw: pathlib.Path
    output: pathlib.Path
    runner: Runner | None
    shown: str


@contextlib.contextmanager
def folders(raw: pathlib.Path | str, output: pathlib.Path | str, name: str, runner: Runner | None) -> Iterator[Folders]:
    """Yields the folders to work with; afterwards results are where they were asked for, also after an error.

    Args:
      raw, output: a path, or the URL of a folder.
      name: of the data set.
      runner: whose workers read and write what lies elsewhere.

    Raises:
      UsageError: there is a URL and no runner; or one that cannot be reached.
      MsdaError: what lies there cannot be read.
    """
    urls = [str(each) for each in (raw, output) if files.is_url(str(each))]
    if not urls:
        yield Folders(raw, output, runner, str(output / name))
        return
    if runner is None:
        raise UsageError(
            f"{urls[0]} is a URL: without --runner, expected a path on this machine; copy the files here, or mount "
            "them, and name these"
        )
    remote.connect(runner.flags)
    places, mirror = [], None
    with contextlib.ExitStack() as stack:
        if files.is_url(str(raw)):
            places.append(stack.enter_context(remote.shadow(remote.check(raw), brought=_lists)))
            raw = places[-1].here
        else:
            raw = raw.resolve()  # a worker's current folder is another
        if files.is_url(str(output)):
            url = f"{remote.check(output)}/{name}"
            place = stack.enter_context(remote.shadow(url, brought=_but_shards))
            places.append(place)
            mirror, output = (
                remote.Mirror(place, lambda file: _BY_WORKERS.fullmatch(file) is not None),
                place.here.parent,
            )
            shown = url
        else:
            output = output.resolve()
            shown = str(output / name)
        try:
            yield Folders(raw, output, dataclasses.replace(runner, places=tuple(places), mirror=mirror), shown)
        except BaseException as error:
            if mirror:
                # So that the next run goes on; what went wrong first is what is said.
                with contextlib.suppress(Exception):
                    mirror.sync(last=manifests.FILE_NAME)
            if isinstance(error, MsdaError):
                raise type(error)(_with_urls(str(error), places)) from None
            raise
        if mirror:
            mirror.sync(last=manifests.FILE_NAME)


def _with_urls(text: str, places: list[remote.Place]) -> str:
    for place in places:
        text = text.replace(str(place.here), place.there)
    return text


def _but_shards(names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".tfrecord")]


def _lists(names: list[str]) -> list[str]:
    """JSON files that are about many frames, which readers look into; where there are many, each is of one frame."""
    found = [name for name in names if name.endswith(".json")]
    counts = collections.Counter(map(posixpath.dirname, found))
    return [name for name in found if counts[posixpath.dirname(name)] < 10]
