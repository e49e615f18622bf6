"""A folder elsewhere that is worked on here: what lies there is brought, and what is new or gone here is so there, too.

What lies there is the truth, and the folder here a copy of it, but for what was not sent yet. To tell the two apart,
what was the same on both sides is noted, file by file: sizes and times here and there.
"""

import contextlib
import functools
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator

from msda_tf import files, lock, state_file
from msda_tf.errors import MsdaError
from msda_tf.remote import cache, filesystem
from msda_tf.remote.place import Place
from msda_tf.remote.shadow import stand_in
from msda_tf.state_file import Damaged

WHOLE = 9
"""Rank of a file by which others know that the folder is whole: when it is gone here it is the first to go there."""

Order = Callable[[str], tuple[int, str]]
"""Of the name of a file, with sub-folders: its rank, 0 if it names no other file, and its place among those of the same
rank. Files are sent in this order."""

_RETRIES = 5

_LONG_AGO = 24 * 3600

Here = tuple[int, int]
"""Of a file: bytes, time of the last change in nanoseconds."""

There = tuple[int, float]
"""Bytes, seconds."""

Choose = Callable[[list[str], Callable[[str], bytes]], Iterable[str]]
"""Of the names of all files there, and a function that reads one: those that are to be here."""


class Mirror:
    """A folder that is kept as another elsewhere.

    Args:
      place: both.
      order: of the files. What is gone of the rank `WHOLE` goes first, and all else that is gone when the rest is sent.
      decisive: tells of the name of a file that, if it is another here and there and both are new, neither folder is
        the newer one. Of other such files that there counts.
      sent_by_workers: tells of the name of a file, without sub-folders, whether workers send it.
      record: the file that keeps what is known from one process to the next; without one, `place` is a shadow, and all
        that it shows is known.
      on_wait: told which process is waited for, of those that bring to, or send from, the same folder.
    """

    def __init__(
        self,
        place: Place,
        *,
        order: Order = lambda name: (0, name),
        decisive: Callable[[str], bool] = lambda name: False,
        sent_by_workers: Callable[[str], bool] = lambda name: False,
        record: pathlib.Path | None = None,
        on_wait: Callable[[str], None] = lambda holder: None,
    ):
        self.place, self._order, self._decisive, self._by_workers = place, order, decisive, sent_by_workers
        self._record, self._on_wait = record, on_wait
        self._known: dict[str, tuple[Here, There | None]] = {}
        self._anew = False
        self._recall()

    def start_over(self) -> None:
        """Says that the folder here is begun anew: what is gone, or names files, goes there before anything is sent."""
        with self._locked():
            self._recall()
            self._anew = True
            self._save()

    def bring(
        self,
        choose: Choose = lambda names, read: names,
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Makes the folder here what lies there, but for what was not sent yet.

        Args:
          choose: those that are wanted; others that are here stay as they are.
          progress: called with (bytes done, bytes in all).

        Raises:
          MsdaError: it cannot be read, there is no room, or both have gone on by themselves.
        """
        with self._locked():
            self._recall()
            for _ in range(_RETRIES):
                # Whoever writes there may take away what was listed.
                if self._bring(choose, progress):
                    return
        raise MsdaError(f"{self.place.there} is being changed all the time: try again later")

    def _bring(self, choose: Choose, progress) -> bool:
        there = dict(_listed(self.place.there))
        wanted = set(choose(sorted(there), lambda name: filesystem.read(f"{self.place.there}/{name}")))
        now = self._here()
        removed = self._removed(now)
        missing = [name for name in wanted if self._is_missing(name, now.get(name), there[name], removed)]
        total, done = sum(there[name][0] for name in missing), 0
        cache.check_room(self.place.there, total)
        for name in sorted(set(self._known) - set(there)):
            known, _ = self._known.pop(name)
            if now.get(name) == known:
                self._path(name).unlink(missing_ok=True)
        for name in sorted(missing, key=self._order):
            progress(done, total)
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                filesystem.bring(self.place.url(path), path)
            except MsdaError:
                if dict(_listed(self.place.there)).get(name) == there[name]:
                    raise
                return False
            self._note(name, _status(path), there[name])
            done += there[name][0]
        if missing:
            progress(done, total)
        self._save()
        return True

    def _is_missing(self, name: str, here: Here | None, there: There, removed: set[str]) -> bool:
        """Whether a file is to be brought."""
        known = self._known.get(name)
        there_is_known = known is not None and there == known[1]
        if here is None:
            return not (there_is_known and name in removed)
        if there_is_known:
            return False
        if self._decisive(name) and (known is None or here != known[0]):
            path = self._path(name)
            if path.read_bytes() != filesystem.read(self.place.url(path)):
                raise MsdaError(
                    f"{self.place.there} was changed elsewhere, and {self.place.here.parent} holds what was not sent "
                    f"there: take that folder away to go on from {self.place.there}"
                )
            self._note(name, here, there)
            return False
        return True

    def sync(self) -> None:
        """Sends what is new here, and removes there what is gone here.

        Raises:
          MsdaError: something cannot be sent; what was sent is known, and the next call goes on.
        """
        with self._locked():
            if self._record is not None:
                self._recall()
            now = self._here()
            gone = self._removed(now)
            first = [name for name in gone if self._anew or self._order(name)[0] == WHOLE]
            new = [
                name
                for name in sorted(now, key=self._order)
                if now[name] != self._known.get(name, (None,))[0] and not self._by_workers(pathlib.PurePath(name).name)
            ]
            if self._anew:  # what names other files must not stand beside new ones
                first += [name for name in new if self._order(name)[0] and name in self._known]
            for name in sorted(first, key=self._order, reverse=True):
                self._forget(name)
            for name in new:
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    filesystem.send(self._path(name), self.place.url(self._path(name)))
                    self._note(name, now[name], None)
            for name in sorted(gone - set(first)):
                self._forget(name)
            if self._record is None:
                self._known = {name: (status, None) for name, status in now.items()}
            elif new:
                self._look(new)
            self._anew = False
            self._save()

    def _look(self, sent: Iterable[str]) -> None:
        """Notes sizes and times there of what was sent; removes what senders that died have left there long ago."""
        there = {name: (size, changed) for name, size, changed in filesystem.listing(self.place.there)}
        for name in sent:
            if name in self._known and name in there:
                self._known[name] = (self._known[name][0], there[name])
        for name, (_, changed) in there.items():
            if files.is_left_over(pathlib.PurePath(name)) and changed < time.time() - _LONG_AGO:
                filesystem.remove(f"{self.place.there}/{name}")

    def receive(self, path: pathlib.Path, *, content: bool) -> None:
        """Lets a shadow show a file that a worker has sent, with or without its content."""
        if content:
            with contextlib.suppress(MsdaError):  # whoever needs it will miss it
                filesystem.bring(self.place.url(path), path)
        else:
            stand_in(path, filesystem.size(self.place.url(path)))
        if path.is_file():
            self._known[path.relative_to(self.place.here).as_posix()] = (_status(path), None)

    def _removed(self, now: dict[str, Here]) -> set[str]:
        """Files that are known and that a command has removed here, so that they are to be removed there, too.

        Commands remove files and folders of files, and what is decisive only to begin anew. Whoever removes more by
        hand, or a broken disk, means this machine's copy.
        """
        gone = set(self._known) - set(now)
        if self._anew:
            return gone
        if not now or any(map(self._decisive, gone)):
            return set()
        return {name for name in gone if self._path(name).parent.parent.is_dir()}

    def _forget(self, name: str) -> None:
        filesystem.remove(self.place.url(self._path(name)))
        self._known.pop(name, None)
        self._save()

    def _note(self, name: str, here: Here, there: There | None) -> None:
        self._known[name] = (here, there)
        self._save()

    def _path(self, name: str) -> pathlib.Path:
        return self.place.here / name

    def _here(self) -> dict[str, Here]:
        found = {}
        for folder, _, names in os.walk(self.place.here):
            for path in (pathlib.Path(folder) / name for name in names):
                name = path.relative_to(self.place.here)
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file() and not any(map(_is_ours_alone, name.parts)):
                        found[name.as_posix()] = _status(path)
        return found

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self._record is not None:
                stack.enter_context(lock.hold(self._record.parent, "msda-tf", on_wait=self._on_wait))
            stack.enter_context(filesystem.quiet())
            yield

    def _recall(self) -> None:
        if self._record is None:
            self._known = {name: (status, None) for name, status in self._here().items()}
            return
        try:
            value = state_file.load(self._record)
            self._anew = state_file.flag(value, "anew")
            known = state_file.mapping(value, "files")
            self._known = {name: _read(known, name) for name in known}
        except (FileNotFoundError, Damaged):
            self._known = {}  # everything is compared

    def _save(self) -> None:
        if self._record is not None:
            known = {name: [*here, *(there or ())] for name, (here, there) in self._known.items()}
            files.write_json(self._record, {"anew": self._anew, "files": known})


def _read(known: dict, name: str) -> tuple[Here, There | None]:
    entry = known[name]
    if not isinstance(entry, list) or len(entry) not in (2, 4):
        raise Damaged(name)
    return (entry[0], entry[1]), (tuple(entry[2:]) or None)


def _listed(url: str) -> Iterable[tuple[str, There]]:
    return (
        (name, (size, changed))
        for name, size, changed in filesystem.listing(url)
        if not any(map(_is_ours_alone, name.split("/")))
    )


def _status(path: pathlib.Path) -> Here:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@functools.cache
def _is_ours_alone(name: str) -> bool:
    """What lies in a folder and is nobody's business elsewhere: locks, what is half-written, what workers share."""
    return name.startswith(lock.FILE_NAME) or name == ".beam" or files.is_left_over(pathlib.PurePath(name))
