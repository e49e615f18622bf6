"""Segments image files: label map, colours, overlay and confidence of each, at the image's own size."""

import dataclasses
import functools
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf

from msda_tf import files, lock
from msda_tf.beam.runner import Runner
from msda_tf.beam.spread import spread
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import palettes
from msda_tf.image_files import film, headers
from msda_tf.image_files.headers import MAX_PIXELS, BadFrame
from msda_tf.inference.members import Inference
from msda_tf.prediction import images, record, results, submission, video
from msda_tf.prediction.image_files import segment_files
from msda_tf.remote import cache
from msda_tf.remote.place import Place
from msda_tf.remote.shadow import Visit
from msda_tf.runs import elsewhere, trained
from msda_tf.runs.fingerprint import data_sets, fingerprint


@dataclass(frozen=True)
class Prediction:
    """What `predict` did.

    Attributes:
      done: number of images whose results were written.
      skipped: number of images whose results were there.
      failed: one message for each image that could not be segmented, and for each folder that could not be looked at.
      notes: what whoever sees the results must know of the weights.
    """

    done: int
    skipped: int
    failed: tuple[str, ...]
    notes: tuple[str, ...]


def predict(
    directories: Sequence[str | pathlib.Path],
    source: str | pathlib.Path,
    output: str | pathlib.Path,
    *,
    kinds: Sequence[str] = results.DEFAULT_KINDS,
    for_submission: bool = False,
    resume: bool = False,
    flip: bool = False,
    merge: str | None = None,
    select: str | None = None,
    serve: str | None = None,
    window: tuple[int, int] | None = None,
    branches: Sequence[str] | None = None,
    mean_of: str | None = None,
    max_pixels: int = MAX_PIXELS,
    palette: str = palettes.OWN,
    legend: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
    runner: Runner | None = None,
) -> Prediction:
    """Segments an image, all images of a folder and its sub-folders, or a video.

    For the image `a/frame.png` it writes `labels/a/frame.png`, `colors/a/frame.png` and so on (see
    `images.result_names`). An image that cannot be read does not stop the others. For videos see
    `msda_tf.prediction.video`.

    Args:
      directories: run directories, merged; of URLs, what `msda_tf.runs.elsewhere` has brought, and workers bring.
      source: a PNG, JPEG or video file, or a folder of images.
      output: the folder to write to; what is there of an earlier run is replaced.
      kinds: which of `results.KINDS`.
      for_submission: write labelIds for Cityscapes' benchmark server instead (see `msda_tf.prediction.submission`).
      resume: leave images alone whose results are there, if these were made from the same weights and the same image.
      flip: average over the image and its mirror image.
      merge: one of `msda_tf.inference.merge.RULES`; the runs' own by default.
      select: "last" or "best" checkpoint; each run's own choice by default.
      serve: "teacher" or "student", for runs that have both; each run's own choice by default.
      window: (height, width) of overlapping windows of the networks' input in which images pass; each run's own by
        default.
      branches: shown names of the branches to merge; all that were adapted by default.
      mean_of: of several targets that differ in their mean, the one that the images are like: its mean is subtracted.
      max_pixels: larger images are refused before they are decoded; their headers tell.
      palette: in whose colours classes are shown, one of `msda_tf.evaluation.palettes.PALETTES`.
      legend: put names and colours of the classes below colours and overlays.
      on_progress: called with (images done, number of images, or 0 if it is not known).
      runner: images are segmented by the workers of this one of Apache Beam, all of which see the same folders, instead
        of by this process.

    Raises:
      UsageError: see `trained.load`; or there is no image, `output` lies in `source`, or holds results made from
        something else, with `resume`.
      MsdaError: a run is damaged, a video cannot be read, or the runner failed.
    """
    source, output = pathlib.Path(source), pathlib.Path(output)
    is_video = film.is_film(source)
    if is_video and (for_submission or resume):
        raise UsageError(f"{source} is a video, which has neither a submission nor anything to resume: leave that out")
    if is_video and runner:
        raise UsageError(f"{source} is a video, which is read from its beginning to its end: leave --runner out")
    found, problems = ([], []) if is_video else images.find(source)
    images.check_output(source, output)
    if for_submission:
        paths = {image: {results.LABEL_IDS: output / name} for image, name in submission.names(found).items()}
    else:
        names = images.result_names(found)
        paths = {image: {kind: output / kind / name for kind in kinds} for image, name in names.items()}

    how = _Networks(
        directories=tuple(each if files.is_url(str(each)) else pathlib.Path(each) for each in directories),
        merge=merge,
        select=select,
        serve=serve,
        window=window,
        branches=None if branches is None else tuple(branches),
        mean_of=mean_of,
        flip=flip,
        size=submission.SIZE if for_submission else None,
        confidence="confidence" in kinds,
        palette=palette,
        legend=legend,
    )
    networks, segment, made_from = how.load()
    classes = networks.classes
    if for_submission:
        submission.check_classes(classes)
    with lock.hold(output, "msda-tf predict"):
        records = {
            kind: record.read(*_place(output, kind)) for kind in ([results.LABEL_IDS] if for_submission else kinds)
        }
        if is_video:
            for each in records.values():
                each.begin(made_from, data_sets(networks))
            digest = files.sha256(source)
            done = video.predict(
                source, output, segment, kinds=kinds, classes=classes, legend=legend, on_progress=on_progress
            )
            for kind, each in records.items():
                each.add(source.stem if kind == "labels" else f"{source.stem}.mp4", digest)
            return Prediction(done, 0, (), tuple(networks.notes()))
        root = source.parent if source.is_file() else source
        kept = _Kept(root, paths, output, records, runner.places if runner else ())
        there = [image for image in found if resume and all(path.is_file() for path in paths[image].values())]
        if there:
            kept.check(made_from)
        skipped = {image for image in there if kept.still_good(image)}
        todo = [image for image in found if image not in skipped]
        for each in records.values():
            each.begin(made_from, data_sets(networks))

        def note(image, digest):
            for kind, path in paths[image].items():
                records[kind].add(kept.name(kind, path), digest)

        wanted = {image: paths[image] for image in todo}
        written = {path.parent for of_kind in wanted.values() for path in of_kind.values()}
        _remove_left_overs(written)
        if runner is None:
            failed = segment_files(
                wanted,
                root=root,
                segment=segment,
                classes=classes,
                max_pixels=max_pixels,
                legend=legend,
                on_result=note,
                on_progress=lambda done: on_progress(done, len(todo)),
            )
        else:
            folders = runner.mounted(
                root, output, *(each for each in how.directories if isinstance(each, pathlib.Path))
            )
            job = _Segment(folders, runner.places, how, made_from, root, max_pixels)
            failed = _on_beam(job, wanted, runner, output, on_result=note, on_progress=on_progress)
            _remove_left_overs(written)  # of workers that died
    unseen = [f"{problem.path}: {problem.reason}" for problem in problems]
    notes = (*networks.notes(), *kept.notes(skipped))
    return Prediction(len(todo) - len(failed), len(skipped), (*unseen, *failed), notes)


def _remove_left_overs(folders: set[pathlib.Path]) -> None:
    for folder in folders:
        files.remove_left_overs(folder)


def _place(output: pathlib.Path, kind: str) -> tuple[pathlib.Path, str]:
    """(folder, name) of the record of one kind of results."""
    if kind == results.LABEL_IDS:
        return record.of_submission(output)
    return output / kind, record.FILE_NAME


class _Kept:
    """Results that are there already: which of them still stand.

    Args:
      root: the folder of the images.
      paths: image -> kind -> its result.
      output: the folder of results.
      records: kind -> its record.
      places: shadows of folders elsewhere.
    """

    def __init__(
        self,
        root: pathlib.Path,
        paths: dict,
        output: pathlib.Path,
        records: dict[str, record.Record],
        places: Sequence[Place],
    ):
        self._root, self._paths, self._output, self._records, self._places = root, paths, output, records, places

    def name(self, kind: str, path: pathlib.Path) -> str:
        """Of a result in its record."""
        return path.relative_to(self._output if kind == results.LABEL_IDS else self._output / kind).as_posix()

    def check(self, made_from: dict) -> None:
        """Raises UsageError if they were made from something else."""
        for each in self._records.values():
            if each.exists:
                record.check_same(each, made_from)

    def still_good(self, image: pathlib.PurePath) -> bool:
        """Whether all results of an image were made of what it holds now; those without any record are believed."""
        known = set()
        for kind, path in self._paths[image].items():
            each, name = self._records[kind], self.name(kind, path)
            if not each.exists:
                each.done[name] = None
            if name not in each.done:
                return False
            known.add(each.done[name])
        known.discard(None)
        return not known or known == {self._digest(image)}

    def notes(self, skipped: set[pathlib.PurePath]) -> list[str]:
        """A sentence about results whose origin nobody knows."""
        unknown = sum(not self._all_known(image) for image in skipped)
        if not unknown:
            return []
        return [
            f"{unknown} results in {self._output} were there without a record of what they were made from, as earlier "
            "versions wrote them: leave --resume out to make them again"
        ]

    def _all_known(self, image: pathlib.PurePath) -> bool:
        results_of = self._paths[image].items()
        return all(self._records[kind].done.get(self.name(kind, path)) for kind, path in results_of)

    def _digest(self, image: pathlib.PurePath) -> str | None:
        path = self._root / image
        try:
            with Visit(self._places) as visit:
                return files.sha256(visit.bring(path)) if path.is_file() else None
        except (OSError, MsdaError):
            return None  # whoever reads it will say why


@dataclass(frozen=True)
class _Networks:
    """Which networks segment, and how: what `predict` and every worker load alike.

    Attributes:
      directories, merge, select, serve, window, branches, mean_of, flip, palette, legend: arguments of `predict`.
      size: (height, width) of the maps if not the images' own.
      confidence: whether maps of it are wanted.
    """

    directories: tuple[pathlib.Path | str, ...]
    merge: str | None
    select: str | None
    serve: str | None
    window: tuple[int, int] | None
    branches: tuple[str, ...] | None
    mean_of: str | None
    flip: bool
    size: tuple[int, int] | None
    confidence: bool
    palette: str
    legend: bool

    def load(self) -> tuple[trained.Trained, Callable, dict]:
        """The networks, the function that segments, and what decides about its results."""
        networks = trained.load(
            [cache.here(directory) for directory in self.directories],
            merge=self.merge,
            select=self.select,
            serve=self.serve,
            branches=self.branches,
            only_merged=True,
        ).centred(self.mean_of)
        networks = networks.in_windows(self.window).in_colours(self.palette)
        inference = dataclasses.replace(networks.inference, flip=self.flip)
        segment = segment_function(inference, confidence=self.confidence, size=self.size)
        return networks, segment, fingerprint(networks, flip=self.flip, size=self.size, legend=self.legend)


_loading = threading.Lock()


@functools.lru_cache(maxsize=1)
def _load_once(networks: _Networks) -> tuple[trained.Trained, Callable, dict]:
    """As `_Networks.load`, on a worker, which brings what lies at URLs."""
    for directory in networks.directories:
        elsewhere.bring(directory)
    return networks.load()


@dataclass(frozen=True)
class _Segment:
    """Segments some images, with networks that are loaded once for each worker."""

    folders: tuple[pathlib.Path, ...]
    places: tuple[Place, ...]
    networks: _Networks
    made_from: dict
    root: pathlib.Path
    max_pixels: int

    def __call__(self, task: dict) -> dict:
        with _loading:  # a worker may do several tasks at a time
            networks, segment, made_from = _load_once(self.networks)
        if made_from != self.made_from:
            raise MsdaError(
                f"{self.networks.directories[0]} has other weights than when the work was started: wait until its "
                "training is finished, and start again"
            )
        done = {}
        with Visit(self.places) as visit:
            here = {image: visit.bring(self.root / image) for image, _ in task["images"]}
            paths = {
                pathlib.PurePath(image): {kind: visit.path(pathlib.Path(path)) for kind, path in of_kind.items()}
                for image, of_kind in sorted(task["images"], key=lambda each: self._size(here[each[0]]))
            }

            def send(image, digest):
                for path in paths[image].values():
                    visit.send(path)
                done[str(image)] = digest

            failed = segment_files(
                paths,
                root=visit.path(self.root),
                segment=segment,
                classes=networks.classes,
                max_pixels=self.max_pixels,
                legend=self.networks.legend,
                on_result=send,
            )
            return {"done": done, "failed": [visit.words(message) for message in failed]}

    def _size(self, path: pathlib.Path) -> tuple[int, int]:
        """By which images of a task are ordered: neighbours of one size share a call on a GPU."""
        try:
            header = headers.read(path, max_pixels=self.max_pixels)
        except BadFrame:
            return 0, 0  # whoever reads it will say why
        return header.height, header.width


# Images of one task: enough that reading ahead pays, few enough that many workers have some.
_AT_ONCE, _TASKS = 64, 256

# How often records of results are sent to where those lie.
_SYNC_SECONDS = 30


def _on_beam(
    job: _Segment,
    paths: dict[pathlib.PurePath, dict[str, pathlib.Path]],
    runner: Runner,
    output: pathlib.Path,
    *,
    on_result: Callable[[pathlib.PurePath, str], None],
    on_progress: Callable[[int, int], None],
) -> list[str]:
    """As `segment_files`, by the workers of a runner."""
    tasks = [{"images": piece} for piece in _pieces(paths, min(_AT_ONCE, max(1, len(paths) // _TASKS)))]
    messages, done = {}, 0
    on_progress(done, len(paths))
    synced = time.monotonic()
    for number, outcome in spread(job, tasks, runner, output):
        for image, digest in outcome["done"].items():
            on_result(pathlib.PurePath(image), digest)
        messages[number] = outcome["failed"]
        if runner.mirror and time.monotonic() > synced + _SYNC_SECONDS:
            runner.mirror.sync()
            synced = time.monotonic()
        done += len(tasks[number]["images"])
        on_progress(done, len(paths))
    return [message for number in sorted(messages) for message in messages[number]]


def _pieces(paths: dict[pathlib.PurePath, dict[str, pathlib.Path]], size: int) -> Iterator[list[tuple[str, dict]]]:
    """Images and their results, in JSON, `size` at a time."""
    images_of = [(str(image), {kind: str(path) for kind, path in of_kind.items()}) for image, of_kind in paths.items()]
    for start in range(0, len(images_of), size):
        yield images_of[start : start + size]


def segment_function(inference: Inference, *, confidence: bool = False, size: tuple[int, int] | None = None):
    """A compiled function of uint8 RGB images `[B, H, W, 3]` of any size.

    It gives trainIds uint8 `[B, H, W]` under "labels" and, if asked for, float32 `[B, H, W]` under "confidence".
    `size` is the (height, width) of the maps if not the images' own.
    """

    def segment(images):
        if confidence:
            labels, sureness = inference.segment_with_confidence(images)
            return {"labels": labels, "confidence": sureness}
        return {"labels": inference.segment(images, size)}

    return tf.function(segment, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)], autograph=False)
