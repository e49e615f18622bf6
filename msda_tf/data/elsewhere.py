"""Prepared data sets at URLs: brought once into the cache of this machine, and read there.

Of a data set come dataset.json and the shards that are asked for. What was brought is checked against the checksums of
dataset.json, and not brought again as long as that is the same.
"""

import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping

from msda_tf import files, lock
from msda_tf.data import manifest as manifests
from msda_tf.data.manifest import FILE_NAME, Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.remote import cache, filesystem
from msda_tf.remote.mirror import WHOLE
from msda_tf.remote.place import Place

Splits = Callable[[Manifest], Iterable[str | None]]
"""Which splits of a data set are wanted; None, and names that it does not have, are passed over."""


def training_and_evaluation(manifest: Manifest) -> tuple[str | None, ...]:
    """The splits of a target."""
    return manifest.training_split, manifest.evaluation_split


def training(manifest: Manifest) -> tuple[str]:
    """The split of a source."""
    return (manifest.training_split,)


def none(manifest: Manifest) -> tuple:
    """For what the manifest itself tells."""
    return ()


def every(manifest: Manifest) -> tuple[str, ...]:
    """All of it."""
    return tuple(manifest.splits)


def order(name: str) -> tuple[int, str]:
    """Of the files of a data set that is written: see `msda_tf.remote.mirror.Mirror`. Notes come after their shards."""
    return WHOLE if name == FILE_NAME else 1 if name.startswith(".") else 0, name


@filesystem.quiet()
def bring(
    url: str,
    wanted: Mapping[str, Splits],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    on_wait: Callable[[str], None] = lambda holder: None,
) -> pathlib.Path:
    """Brings data sets, or what is missing of them.

    Args:
      url: of the folder of prepared data sets.
      wanted: name of a data set, or of a condition ("acdc:night") -> its splits.
      progress: called with (bytes done, bytes in all).
      on_wait: told which process is waited for, of those that bring data sets from there.

    Returns:
      the folder of this machine that holds them.

    Raises:
      UsageError: there is no such data set.
      MsdaError: it cannot be read, is damaged, or has no room here.
    """
    url = filesystem.check(url)
    place = cache.place(url)
    with lock.hold(place.here.parent, "msda-tf", on_wait=on_wait):
        found = {name: _Brought(place, name) for name in dict.fromkeys(map(_data_set, wanted))}
        for name, splits in wanted.items():
            found[_data_set(name)].want(name, splits)
        total, done = sum(each.missing_bytes for each in found.values()), 0
        cache.check_room(url, total)

        def on_bytes(data: bytes) -> None:
            nonlocal done
            done += len(data)
            progress(done, total)

        for each in found.values():
            each.bring(on_bytes)
    return place.here


def _data_set(name: str) -> str:
    return name.partition(":")[0]


class _Brought:
    """A data set, here and there.

    Args:
      place: of the folder that holds it.
      name: of the data set.
    """

    def __init__(self, place: Place, name: str):
        if pathlib.PurePath(name).name != name:
            raise UsageError(f"data set {name!r}: expected the name of a folder")
        self._folder, self._there = place.here / name, f"{place.there}/{name}"
        if not filesystem.exists(f"{self._there}/{FILE_NAME}"):
            raise UsageError(_not_there(place.there, name))
        # Beside what counts as prepared here, until its shards are here, too.
        self._new = place.here.parent / "dataset" / name
        self._new.mkdir(parents=True, exist_ok=True)
        filesystem.bring(f"{self._there}/{FILE_NAME}", self._new / FILE_NAME)
        try:
            self._manifest = manifests.read(self._new)
        except MsdaError as error:
            raise MsdaError(str(error).replace(str(self._new), self._there)) from None
        self._known = _checksums(self._manifest)
        self._wanted: dict[str, int] = {}

    def want(self, name: str, splits: Splits) -> None:
        """Adds the shards of splits, of the data set or of one of its conditions."""
        condition = name.partition(":")[2]
        manifest = manifests.under(self._manifest, condition) if condition else self._manifest
        for split in splits(manifest):
            if split in manifest.splits:
                self._wanted |= {shard.file: shard.bytes for shard in manifest.splits[split].shards}
        if self._wanted and manifest.class_counts:
            file = manifest.class_counts.file
            self._wanted[file] = filesystem.size(f"{self._there}/{file}")

    @functools.cached_property
    def _missing(self) -> dict[str, int]:
        """File -> bytes; files here that are not of this data set are gone."""
        try:
            checked = _checksums(manifests.read(self._folder))
        except MsdaError:
            checked = {}  # never brought, or not to the end
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            good = path.name in self._known and checked.get(path.name) == self._known[path.name]
            if good or path.name == FILE_NAME or not path.is_file():
                continue
            if path.name not in self._wanted or files.sha256(path) != self._known[path.name]:
                path.unlink()
        return {
            file: size
            for file, size in self._wanted.items()
            if not ((self._folder / file).is_file() and (self._folder / file).stat().st_size == size)
        }

    @property
    def missing_bytes(self) -> int:
        """Of what is to be brought."""
        return sum(self._missing.values())

    def bring(self, on_bytes: Callable[[bytes], None]) -> None:
        """Brings what is missing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / FILE_NAME
        if path.is_file() and path.read_bytes() != (self._new / FILE_NAME).read_bytes():
            path.unlink()
        for file in self._missing:
            self._bring(file, on_bytes)
        os.replace(self._new / FILE_NAME, path)

    def _bring(self, file: str, on_bytes: Callable[[bytes], None]) -> None:
        digest = hashlib.sha256()

        def seen(data: bytes) -> None:
            digest.update(data)
            on_bytes(data)

        filesystem.bring(f"{self._there}/{file}", self._folder / file, on_bytes=seen)
        if digest.hexdigest() != self._known[file]:
            (self._folder / file).unlink()
            raise MsdaError(
                f"{self._there}/{file} is not the file that {FILE_NAME} beside it describes (its SHA-256 is another): "
                "copy the data set there again, or prepare it anew"
            )


def _checksums(manifest: Manifest) -> dict[str, str]:
    """File -> SHA-256 of all that a data set consists of."""
    found = {shard.file: shard.sha256 for split in manifest.splits.values() for shard in split.shards}
    return found | ({manifest.class_counts.file: manifest.class_counts.sha256} if manifest.class_counts else {})


def _not_there(url: str, name: str) -> str:
    names = (found.split("/") for found, _, _ in filesystem.listing(url))
    known = sorted(parts[0] for parts in names if parts[1:] == [FILE_NAME])
    there = f"prepared there: {', '.join(known)}" if known else "nothing is prepared there"
    return f"data set {name!r} is not prepared in {url}/ ({there}): prepare it, or name its folder with --data"
