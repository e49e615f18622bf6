"""Data, runs and results at URLs: what a command reads is brought before, and what it writes is sent."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from absl import logging

from msda_tf import files
from msda_tf.beam import runner as runners
from msda_tf.beam.runner import Runner
from msda_tf.data import elsewhere as data_sets
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.remote import cache, filesystem
from msda_tf.remote.mirror import Choose, Mirror, Order
from msda_tf.remote.place import Place
from msda_tf.remote.shadow import shadow
from msda_tf.runs import elsewhere as runs
from msda_tf.runs import read

from . import terminal
from .options import url_options
from .progress import transferring


class Reach(contextlib.AbstractContextManager):
    """What lies at URLs, for one command; paths are taken as they are.

    While it lasts, the command's words have URLs instead of folders here. After it, also after an error, what was
    written is sent.

    Args:
      settings: "KEY=VALUE" of --beam-option.
      runner: whose options these are, if there is one.
    """

    def __init__(self, settings: tuple[str, ...] = (), runner: Runner | None = None):
        self._settings, self._runner, self._connected = settings, runner, False
        self._mirrors: list[Mirror] = []
        self._sent: list[Mirror] = []
        self._shown = contextlib.ExitStack()

    def __exit__(self, kind, error, traceback):
        with self._shown:
            if error is None:
                self.finish()
                return
            with contextlib.suppress(MsdaError):
                self.send()  # so that the next run goes on; what went wrong first is what is said
            if isinstance(error, MsdaError):
                raise type(error)(terminal.with_urls(str(error))) from None

    def settled(self) -> None:
        """Says that all URLs are known, before the work begins.

        Raises:
          UsageError: there are options for URLs, and none.
        """
        if self._settings and not self._runner and not self._connected:
            raise UsageError(f"--beam-option {self._settings[0]} has no meaning without a URL: leave it out")

    def data(self, folder: str | pathlib.Path, wanted: Mapping[str, data_sets.Splits]) -> None:
        """Brings data sets, if the folder of data sets is a URL: see `msda_tf.data.elsewhere.bring`."""
        if files.is_url(str(folder)):
            place = self._place(str(folder))
            with transferring(terminal.console(stderr=True), f"bringing {', '.join(wanted)}") as progress:
                data_sets.bring(place.there, wanted, progress=progress, on_wait=_waiting(place.there))

    def run(self, directory: str | pathlib.Path, *, choose: Choose = runs.to_use, sends: bool = False) -> pathlib.Path:
        """The folder of a run here; of a URL, what is chosen of it is brought.

        Args:
          directory: a path, or a URL.
          choose: what is needed of it.
          sends: whether what the command writes there is sent.
        """
        if not files.is_url(str(directory)):
            return pathlib.Path(directory)
        place = self._place(str(directory))
        self._begin(runs.mirror(place.there, on_wait=_waiting(place.there)), choose, sends=sends)
        return place.here

    @contextlib.contextmanager
    def listed(self, folder: str | pathlib.Path) -> Iterator[pathlib.Path]:
        """A folder of runs; of a URL, one that shows them, with what tells how far they are."""
        if not files.is_url(str(folder)):
            yield pathlib.Path(folder)
            return
        url = self._place(str(folder)).there
        with shadow(url, shown=runs.whole, brought=runs.to_list) as place:
            self._shown.enter_context(terminal.shown_as(place))
            yield place.here

    def scored(
        self, directories: Sequence[str | pathlib.Path], data: str | pathlib.Path | None, *, split: str | None, target
    ) -> list[pathlib.Path]:
        """The folders of runs that are to be scored; their data are brought, too.

        Args:
          directories: paths and URLs of runs.
          data: folder of data sets; None: the first run's.
          split: of the target; None: the one to be scored.
          target: one of the run's; None: all of them.
        """
        found = [self.run(directory, sends=True) for directory in directories]
        config = read(found[0]).config

        def splits(manifest: Manifest) -> list[str | None]:
            return [split or manifest.evaluation_split or manifest.training_split]

        self.data(data or config.data, dict.fromkeys(config.targets if target is None else [target], splits))
        self.settled()
        return found

    def written_data(self, folder: str | pathlib.Path, name: str) -> None:
        """Of a URL, brings what there is of a data set that is to be written there, and sends what is new of it."""
        if files.is_url(str(folder)):
            data = self._place(str(folder))
            place = Place(data.here / name, f"{data.there}/{name}")
            record = data.here.parent / f"known-{name}"
            mirror = Mirror(place, order=data_sets.order, record=record, on_wait=_waiting(place.there))
            self._begin(mirror, lambda names, read: names, sends=True)

    def _begin(self, mirror: Mirror, choose: Choose, *, sends: bool) -> None:
        with transferring(terminal.console(stderr=True), f"bringing {mirror.place.there}") as progress:
            mirror.bring(choose, progress=progress)
        if sends:
            self._mirrors.append(mirror)

    def start_over(self) -> None:
        """Says that what is sent takes the place of what is there."""
        for mirror in self._mirrors:
            mirror.start_over()

    def send(self) -> None:
        """Sends what was written, as far as that is possible now.

        Raises:
          MsdaError: it fails the first time: hours of work are not begun for a place that cannot be written to.
        """
        for mirror in self._mirrors:
            try:
                mirror.sync()
            except MsdaError as error:
                if mirror not in self._sent:
                    raise
                logging.warning("%s; it lies in %s, and is sent later", error, mirror.place.here)
            else:
                self._sent.append(mirror)

    def finish(self) -> None:
        """Sends what was written, after which nothing more is.

        Raises:
          MsdaError: it cannot be sent.
        """
        for mirror in list(self._mirrors):
            try:
                mirror.sync()
            except MsdaError as error:
                raise MsdaError(
                    f"{error}; what could not be sent is in {mirror.place.here.parent}, and the same command sends it"
                ) from None
            self._mirrors.remove(mirror)

    def _place(self, url: str) -> Place:
        if not self._connected:
            filesystem.check_installed(url)  # whose lack it names, before options are looked at
            filesystem.connect(self._runner.flags if self._runner else runners.file_systems(self._settings))
            self._connected = True
        place = cache.place(filesystem.check(url))
        self._shown.enter_context(terminal.shown_as(place))
        return place


def reaching(command: Callable) -> Callable:
    """A command with --beam-option, which is given a `Reach` as the argument `reach`."""

    @url_options
    @functools.wraps(command)
    def reached(*, beam_options, **arguments):
        with Reach(beam_options) as reach:
            return command(reach=reach, **arguments)

    return reached


def _waiting(url: str) -> Callable[[str], None]:
    return lambda holder: terminal.say(f"{url}: waiting for {holder}, which brings or sends it", err=True)


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
    order: Order = lambda name: (0, name),
) -> Iterator[Folders]:
    """Yields the folders to work with; afterwards results are where they were asked for, also after an error.

    Args:
      read, written: a path, or the URL of a folder.
      runner: whose workers read and write what lies elsewhere; None if nothing does.
      looked_into: of the names of files in `read`, those whose content is needed here, not by workers alone.
      known: the same of `written`.
      by_workers: tells of the name of a file without its folder whether workers send it.
      order: as of `Mirror`.

    Raises:
      UsageError: there is a URL that cannot be reached, or one within the other.
      MsdaError: what lies there cannot be read.
    """
    if not any(files.is_url(str(each)) for each in (read, written)):
        yield Folders(read, written, runner)
        return
    if f"{written}/".startswith(f"{str(read).rstrip('/')}/"):
        raise UsageError(f"{written} lies in {read}: the next run would take results for data; choose another --output")
    filesystem.connect(runner.flags)
    places, mirror = [], None
    with contextlib.ExitStack() as stack:

        def reached(url: str, brought) -> pathlib.Path:
            places.append(stack.enter_context(shadow(filesystem.check(url), brought=brought)))
            stack.enter_context(terminal.shown_as(places[-1]))
            return places[-1].here

        # A worker's current folder is another.
        read = reached(read, looked_into) if files.is_url(str(read)) else read.resolve()
        if files.is_url(str(written)):
            written = reached(written, known)
            mirror = Mirror(places[-1], order=order, sent_by_workers=by_workers)
        else:
            written = written.resolve()
        try:
            yield Folders(read, written, dataclasses.replace(runner, places=tuple(places), mirror=mirror))
        except BaseException as error:
            if mirror:
                # So that the next run goes on; what went wrong first is what is said.
                with contextlib.suppress(Exception):
                    mirror.sync()
            if isinstance(error, MsdaError):
                raise type(error)(terminal.with_urls(str(error))) from None
            raise
        if mirror:
            mirror.sync()
