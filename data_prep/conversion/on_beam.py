"""The two heavy parts of a conversion, looking at headers and writing shards, as jobs for workers of a Beam runner.

Workers write the same shards and notes by the same functions as threads do (`shards.write`); what is known of a shard
comes back by its note.
"""

import dataclasses
import pathlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msda_tf.beam.runner import Runner
from msda_tf.beam.spread import spread
from msda_tf.data.writing import notes
from msda_tf.data.writing.images import Storage
from msda_tf.data.writing.notes import Rejected

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
    found = {}
    for number, outcome in spread(_Check((raw.root,), raw.labels, max_pixels), tasks, runner, directory):
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
    job = _Write((raw.root, directory), alone, directory, storage, max_pixels, skip)
    tasks = [
        {"file": plan.file, "part": plan.part, "frames": _packed(plan.frames), "fingerprint": fingerprints[plan.file]}
        for plan in todo
    ]
    for number, outcome in spread(job, tasks, runner, directory):
        plan = todo[number]
        advance(len(plan.frames))
        if outcome["rejected"]:
            yield shards.NotWritten([Rejected(*bad) for bad in outcome["rejected"]])
            continue
        yield notes.written(directory, plan.file, fingerprints[plan.file])


@dataclass(frozen=True)
class _Check:
    """Looks at the headers of some frames."""

    folders: tuple[pathlib.Path, ...]
    labels: LabelReader | None
    max_pixels: int

    def __call__(self, task: dict) -> dict:
        found = scans.scan(_unpacked(task["frames"]), self.labels, max_pixels=self.max_pixels, workers=1)
        rejected = [dataclasses.astuple(bad) for bad in found.rejected]
        return {"rejected": rejected, "turned": found.turned, "deep": found.deep}


@dataclass(frozen=True)
class _Write:
    """Writes a shard and its note, unless both are there."""

    folders: tuple[pathlib.Path, ...]
    raw: RawDataset
    directory: pathlib.Path
    storage: Storage
    max_pixels: int
    skip: bool

    def __call__(self, task: dict) -> dict:
        plan = shards.Plan(task["file"], task["part"], _unpacked(task["frames"]))
        if notes.read_note(self.directory, plan.file, task["fingerprint"]):
            return {"rejected": []}
        try:
            result = shards.write(
                plan,
                self.directory,
                raw=self.raw,
                storage=self.storage,
                max_pixels=self.max_pixels,
                allow_bad=shards.allowed(self.raw, skip=self.skip),
                cancelled=threading.Event(),
                on_frame=lambda: None,
            )
        except shards.NotWritten as error:
            return {"rejected": [dataclasses.astuple(bad) for bad in error.rejected]}
        notes.write_note(self.directory, result, task["fingerprint"])
        return {"rejected": []}


def _packed(frames: list[Frame] | tuple[Frame, ...]) -> list[list[str | None]]:
    return [[frame.name, str(frame.image), frame.label and str(frame.label)] for frame in frames]


def _unpacked(packed: list[list[str | None]]) -> tuple[Frame, ...]:
    return tuple(Frame(name, pathlib.Path(image), label and pathlib.Path(label)) for name, image, label in packed)
