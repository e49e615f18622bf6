"""A raw data set -> a folder of shards and dataset.json: in parallel, restartable, and never half-written.

The folder's state at any moment:
  nothing                              not begun
  .prepare.json, shards and their notes   begun; a run with the same options goes on, another is refused
  dataset.json and shards              finished; dataset.json is written last
"""

import dataclasses
import os
import pathlib
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from msda_tf import lock
from msda_tf.beam.runner import Runner
from msda_tf.data import class_counts
from msda_tf.data import manifest as manifests
from msda_tf.data.manifest import Manifest, Shard, Split
from msda_tf.data.writing import notes
from msda_tf.data.writing.images import Storage
from msda_tf.data.writing.notes import Rejected
from msda_tf.data.writing.state import Begun, describe
from msda_tf.errors import MsdaError
from msda_tf.image_files.headers import MAX_PIXELS

from ..readers.frames import RawDataset
from . import on_beam, scan, shards
from .options import options_of
from .source import CONTENT, Source

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, frames done, and frames in all; from any thread."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Attributes:
      manifest: of the finished data set.
      rejected: frames left out because they are bad.
      excluded: names of frames left out because they are known to be bad as published.
      reused: number of shards that an earlier run had finished; all of them if there was nothing to do.
      notices: sentences for the user about the files.
    """

    manifest: Manifest
    rejected: tuple[Rejected, ...]
    excluded: tuple[str, ...]
    reused: int
    notices: tuple[str, ...] = ()


def prepare(
    raw: RawDataset,
    *,
    output: pathlib.Path,
    name: str,
    storage: Storage = Storage(),  # noqa: B008 (frozen)
    on_error: str = "fail",
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> Prepared:
    """Converts `raw` into the folder `output/name`.

    The result is the same, byte for byte, for any number of workers and after any number of interruptions. Workers
    are threads: the libraries that decode and encode let go of Python's lock while they work. With a runner of Apache
    Beam they are its processes, on as many machines as it has, all of which see the same folders.

    Args:
      on_error: "fail" looks at every frame and then fails if any is bad; "skip" leaves bad frames out. Both list
        them in `output/name/rejected.csv`.
      max_pixels: larger images and labels are bad; their headers tell.
      workers: number of frames worked on at a time; None: one per CPU core.
      force: throw away what an earlier run wrote.
      progress: told of every frame; with a runner, of the frames of each shard that is done.
      runner: headers are checked and shards written by the workers of this one instead of by threads of this process.

    Raises:
      UsageError: the folder holds something else than the result of the same options.
      MsdaError: frames are bad, another process is writing the folder, the disk is full, or the runner failed.
    """
    directory = output / name
    directory.mkdir(parents=True, exist_ok=True)
    with lock.hold(directory, "msda-tf prepare"):
        workers, report = workers or cores(), _Reporter(progress)
        places = runner.places if runner else ()
        source = Source(raw, workers=workers, report=report.comparing, places=places)
        options = options_of(raw, storage, max_pixels=max_pixels)
        origin = next((place.url(raw.root) for place in places if raw.root.is_relative_to(place.here)), None)
        begun = Begun(directory, options, root=raw.root, same_input=source.same, origin=origin)
        if force:
            begun.clear()
        if finished := begun.finished():
            return _finished_before(finished, source)
        begun.check_same_options()
        return _convert(
            raw,
            begun,
            source,
            storage=storage,
            on_error=on_error,
            max_pixels=max_pixels,
            workers=workers,
            report=report,
            runner=runner,
        )


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _finished_before(manifest: Manifest, source: Source) -> Prepared:
    """The result of an earlier run, as `prepare` returns it."""
    rejected = scan.read_report(manifest.directory / scan.REPORT)
    reused = len({shard.file for split in manifest.splits.values() for shard in split.shards})
    notices = []
    if CONTENT not in manifest.options and (newer := source.newer_than(manifest.directory / manifests.FILE_NAME)):
        notices.append(
            f"{newer} raw files were written after {manifest.directory}, which was prepared by an earlier version that "
            "did not note what they held: if they were corrected, and not only copied, start over with --force"
        )
    return Prepared(manifest, tuple(rejected), tuple(manifest.options.get("excluded", ())), reused, tuple(notices))


class _Reporter:
    """Counts frames of a stage over several threads and passes the count on."""

    def __init__(self, progress: Progress | None):
        self._progress = progress or (lambda stage, done, total: None)
        self._lock = threading.Lock()

    def start(self, stage: str, total: int, *, done: int = 0) -> None:
        self._stage, self._done, self._total = stage, done, total
        self._progress(stage, done, total)

    def comparing(self, total: int | None) -> None:
        """As `Source` reports."""
        if total is None:
            self.advance()
        elif total:
            self.start("comparing", total)

    def advance(self, frames: int = 1) -> None:
        with self._lock:
            self._done += frames
            self._progress(self._stage, self._done, self._total)


def _convert(
    raw: RawDataset,
    begun: Begun,
    source: Source,
    *,
    storage: Storage,
    on_error: str,
    max_pixels: int,
    workers: int,
    report: _Reporter,
    runner: Runner | None,
) -> Prepared:
    directory, frames = begun.directory, raw.frames
    report.start("checking", len(frames))
    if runner is None:
        scanned = scan.scan(frames, raw.labels, max_pixels=max_pixels, workers=workers, on_frame=report.advance)
    else:
        scanned = on_beam.scan(raw, directory, runner=runner, max_pixels=max_pixels, advance=report.advance)
    found = [*raw.rejected, *scanned.rejected]
    bad_names = {bad.frame for bad in found}
    _fail_if_bad([bad for bad in found if bad.frame not in raw.known_bad], directory, on_error)

    plans = []
    for part in raw.parts:
        for plan in shards.plan(part, storage):
            usable = tuple(frame for frame in plan.frames if frame.name not in bad_names)
            plans.append(shards.Plan(plan.file, plan.part, usable))
    begun.start({plan.file for plan in plans})
    fingerprints = {plan.file: shards.fingerprint(plan, begun.options) for plan in plans}
    results = {
        plan.file: result
        for plan in plans
        if (result := notes.read_note(directory, plan.file, fingerprints[plan.file]))
    }
    reused = len(results)
    report.start(
        "converting",
        sum(len(plan.frames) for plan in plans),
        done=sum(len(plan.frames) for plan in plans if plan.file in results),
    )
    todo = [plan for plan in plans if plan.file not in results]
    if storage.keeps_bytes_always():
        _check_space(directory, todo)

    options = {"raw": raw, "storage": storage, "max_pixels": max_pixels, "skip": on_error == "skip"}
    if runner is None:
        written = _in_threads(todo, directory, fingerprints, **options, workers=workers, advance=report.advance)
    else:
        written = on_beam.write(todo, directory, fingerprints, **options, runner=runner, advance=report.advance)
    bad_inside = []
    for result in written:
        if isinstance(result, notes.Result):
            results[result.file] = result
        else:
            bad_inside += result.rejected
    for result in results.values():
        bad_inside += result.rejected
    order = {frame.name: index for index, frame in enumerate(frames)}
    everything = sorted([*found, *bad_inside], key=lambda bad: order.get(bad.frame, -1))
    rejected = [bad for bad in everything if bad.frame not in raw.known_bad]
    excluded = sorted({bad.frame for bad in everything if bad.frame in raw.known_bad})
    _fail_if_bad(rejected, directory, on_error)
    contents = {name: checksums for result in results.values() for name, checksums in result.contents.items()}
    manifest = _manifest(
        raw,
        begun,
        [results[plan.file] for plan in plans],
        plans,
        origin=source.describe(contents),
        rejected=len(rejected),
        excluded=excluded,
    )
    if any(split.labelled for split in manifest.splits.values()):
        rows = [row for shard in class_counts.labelled_shards(manifest) for row in results[shard.file].image_counts]
        manifest = dataclasses.replace(manifest, class_counts=class_counts.write(directory, rows))
    begun.finish(manifest)
    notices = tuple(scanned.notices(labelled=raw.labels is not None))
    return Prepared(manifests.read(directory), tuple(rejected), tuple(excluded), reused, notices)


def _in_threads(
    todo: list[shards.Plan],
    directory: pathlib.Path,
    fingerprints: dict[str, str],
    *,
    raw: RawDataset,
    storage: Storage,
    max_pixels: int,
    skip: bool,
    workers: int,
    advance: Callable[[], None],
) -> Iterator[notes.Result | shards.NotWritten]:
    """Writes shards and their notes; yields what came of each, in the order in which they are done."""
    cancelled = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        futures = [
            pool.submit(
                shards.write,
                plan,
                directory,
                raw=raw,
                storage=storage,
                max_pixels=max_pixels,
                allow_bad=shards.allowed(raw, skip=skip),
                cancelled=cancelled,
                on_frame=advance,
            )
            for plan in todo
        ]
        try:
            for future in as_completed(futures):
                try:
                    result = future.result()
                except shards.NotWritten as error:
                    yield error
                    continue
                notes.write_note(directory, result, fingerprints[result.file])
                yield result
        except BaseException:
            cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fail_if_bad(rejected: list[Rejected], directory: pathlib.Path, on_error: str) -> None:
    """Brings the report up to date; raises MsdaError if there are bad frames and that is to be a failure."""
    path = directory / scan.REPORT
    if not rejected:
        path.unlink(missing_ok=True)
        return
    scan.write_report(path, rejected)
    if on_error == "fail":
        count = f"{len(rejected)} frames cannot" if len(rejected) > 1 else "1 frame cannot"
        raise MsdaError(
            f"{count} be used, first {rejected[0].file}: {rejected[0].reason}; all are listed in {path}: "
            "repair or remove them, or leave them out with --on-error skip"
        )


def _check_space(directory: pathlib.Path, todo: list[shards.Plan]) -> None:
    needed = sum(frame.image.stat().st_size for plan in todo for frame in plan.frames)
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise MsdaError(
            f"{directory} needs {needed / 1e9:.1f} GB more, but its disk has only {free / 1e9:.1f} GB free: "
            "name another --output, or store smaller images (--scale 0.5)"
        )


def _manifest(
    raw: RawDataset,
    begun: Begun,
    results: list[notes.Result],
    plans: list[shards.Plan],
    *,
    origin: dict[str, str],
    rejected: int,
    excluded: list[str],
) -> Manifest:
    by_part: dict[str, list[notes.Result]] = {part.name: [] for part in raw.parts}
    for plan, result in zip(plans, results, strict=True):
        if result.examples:
            by_part[plan.part].append(result)
    of_split = {split: [r for part in parts for r in by_part[part]] for split, parts in raw.splits.items()}
    empty = [split for split, members in of_split.items() if not members]
    if empty:
        raise MsdaError(f"split {empty[0]} of {raw.root} has no usable frame: see {begun.directory / scan.REPORT}")
    counted = Counter()
    for result in results:
        counted.update(result.sizes)
    # The most frequent first; of equally frequent ones the first in order, whatever order they were counted in.
    sizes = dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
    width, height = map(int, next(iter(sizes)).split("x"))
    labelled = {part.name: part.labelled for part in raw.parts}
    return Manifest(
        name=begun.directory.name,
        kind=raw.kind,
        classes=raw.classes,
        height=height,
        width=width,
        mean_rgb=notes.mean_rgb(of_split[raw.training_split]),
        splits={
            split: Split(
                shards=tuple(Shard(r.file, r.examples, r.bytes, r.sha256) for r in members),
                labelled=all(labelled[part] for part in raw.splits[split]),
                class_pixels=tuple(sum(r.class_pixels[i] for r in members) for i in range(len(raw.classes))),
                ignored_pixels=sum(r.ignored_pixels for r in members),
                mean_rgb=notes.mean_rgb(members),
            )
            for split, members in of_split.items()
        },
        training_split=raw.training_split,
        evaluation_split=raw.evaluation_split,
        options=describe(begun, origin=origin, sizes=sizes, rejected=rejected, excluded=excluded),
    )
