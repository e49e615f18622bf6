"""The two heavy parts of a conversion, looking at headers and writing shards, as jobs for workers of a Beam runner.

Workers write the same shards and notes by the same functions as threads do (`shards.write`); what is known of a shard
comes back by its note.
"""

import dataclasses
import pathlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msda_tf.beam.runner import Runner
from msda_tf.beam.spread import spread
from msda_tf.data.writing import notes
from msda_tf.data.writing.images import Storage
from msda_tf.data.writing.notes import Rejected
from msda_tf.remote.place import Place
from msda_tf.remote.shadow import Visit

from ..readers.frames import Frame, LabelReader, RawDataset
from . import scan as scans
from . import shards

# Enough that a task is worth its file, few enough that many workers have some.
CHECKED_AT_ONCE = 256


def scan(
    raw: RawDataset, directory: pathlib.Path, *, runner: Runner, max_pixels: int, advance: Callable[[int], None]
) -> scans.Scanned:
    """As `scan.scan` on all frames of a data set.

    Args:
      directory: the folder of results, which all workers see.
      runner: whose workers.
      max_pixels: as for `scan.scan`.
      advance: called with a number of frames when they are done.
    """
    frames = raw.frames
    pieces = [frames[start : start + CHECKED_AT_ONCE] for start in range(0, len(frames), CHECKED_AT_ONCE)]
    tasks = [{"frames": _packed(piece)} for piece in pieces]
    job = _Check(runner.mounted(raw.root), runner.places, raw.labels, max_pixels)
    found = {}
    for number, outcome in spread(job, tasks, runner, directory):
        rejected = tuple(Rejected(*bad) for bad in outcome["rejected"])
        found[number] = scans.Scanned(rejected, tuple(outcome["turned"]), tuple(outcome["deep"]))
        advance(len(pieces[number]))
    return scans.Scanned.joined(found[number] for number in range(len(pieces)))


def write(
    todo: list[shards.Plan],
    directory: pathlib.Path,
    fingerprints: dict[str, str],
    *,
    raw: RawDataset,
    storage: Storage,
    max_pixels: int,
    skip: bool,
    runner: Runner,
    advance: Callable[[int], None],
) -> Iterator[notes.Result | shards.NotWritten]:
    """Writes shards and their notes; yields what came of each, in the order in which they are done.

    Args:
      todo: the shards.
      directory: where to.
      fingerprints: of the shards, by file name.
      raw, storage, max_pixels: as for `shards.write`.
      skip: whether bad frames are left out.
      runner: whose workers.
      advance: called with the number of frames of each shard that is done.
    """
    # Workers need to know neither the frames of other shards nor what became of bad ones.
    alone = dataclasses.replace(raw, parts=(), rejected=(), notices=())
    job = _Write(runner.mounted(raw.root, directory), runner.places, alone, directory, storage, max_pixels, skip)
    tasks = [
        {"file": plan.file, "part": plan.part, "frames": _packed(plan.frames), "fingerprint": fingerprints[plan.file]}
        for plan in todo
    ]
    mirror = runner.mirror
    if mirror:
        mirror.sync()
    for number, outcome in spread(job, tasks, runner, directory):
        plan = todo[number]
        advance(len(plan.frames))
        if outcome["rejected"]:
            yield shards.NotWritten([Rejected(*bad) for bad in outcome["rejected"]])
            continue
        if mirror:
            mirror.receive(directory / plan.file, content=False)
            mirror.receive(notes.note_path(directory, plan.file), content=True)
        yield notes.written(directory, plan.file, fingerprints[plan.file])


@dataclass(frozen=True)
class _Check:
    """Looks at the headers of some frames."""

    folders: tuple[pathlib.Path, ...]
    places: tuple[Place, ...]
    labels: LabelReader | None
    max_pixels: int

    def __call__(self, task: dict) -> dict:
        with Visit(self.places) as visit:
            frames = _unpacked(task["frames"], visit)
            found = scans.scan(frames, self.labels, max_pixels=self.max_pixels, workers=1)
            return {"rejected": _worded(found.rejected, visit), "turned": found.turned, "deep": found.deep}


@dataclass(frozen=True)
class _Write:
    """Writes a shard and its note, unless both are there."""

    folders: tuple[pathlib.Path, ...]
    places: tuple[Place, ...]
    raw: RawDataset
    directory: pathlib.Path
    storage: Storage
    max_pixels: int
    skip: bool

    def __call__(self, task: dict) -> dict:
        if notes.read_note(self.directory, task["file"], task["fingerprint"]):
            return {"rejected": []}
        with Visit(self.places) as visit:
            plan = shards.Plan(task["file"], task["part"], _unpacked(task["frames"], visit))
            written = visit.path(self.directory / plan.file)
            try:
                result = shards.write(
                    plan,
                    written.parent,
                    raw=self.raw,
                    storage=self.storage,
                    max_pixels=self.max_pixels,
                    allow_bad=shards.allowed(self.raw, skip=self.skip),
                    cancelled=threading.Event(),
                    on_frame=lambda: None,
                )
            except shards.NotWritten as error:
                return {"rejected": _worded(error.rejected, visit)}
            rejected = tuple(Rejected(*bad) for bad in _worded(result.rejected, visit))
            notes.write_note(written.parent, dataclasses.replace(result, rejected=rejected), task["fingerprint"])
            visit.send(written)
            visit.send(notes.note_path(written.parent, plan.file))
        return {"rejected": []}


def _packed(frames: Sequence[Frame]) -> list[list[str | None]]:
    return [[frame.name, str(frame.image), frame.label and str(frame.label)] for frame in frames]


def _unpacked(packed: list[list[str | None]], visit: Visit) -> tuple[Frame, ...]:
    """Frames whose files this worker has."""
    return tuple(
        Frame(name, *(path and visit.bring(pathlib.Path(path)) for path in (image, label)))
        for name, image, label in packed
    )


def _worded(rejected: Sequence[Rejected], visit: Visit) -> list[tuple[str, str, str]]:
    """In JSON, with names of files that are understood elsewhere."""
    return [(bad.frame, visit.words(bad.file), visit.words(bad.reason)) for bad in rejected]
