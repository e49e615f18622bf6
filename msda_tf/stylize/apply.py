"""A prepared data set once more, its images translated: same labels, names, splits and shards.

It is written as `prepare` writes one: shard by shard, each whole or not at all with a note beside it, and dataset.json
last, so that a killed run goes on where it stopped.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import tensorflow as tf

from msda_tf import files, lock
from msda_tf.beam.runner import Runner
from msda_tf.beam.spread import spread
from msda_tf.data import manifest as manifests
from msda_tf.data import records, tfrecord
from msda_tf.data.manifest import FILE_NAME, Manifest, Shard
from msda_tf.data.writing import images, notes
from msda_tf.data.writing.images import Storage
from msda_tf.data.writing.shard_file import ShardFile
from msda_tf.data.writing.state import Begun, describe
from msda_tf.errors import MsdaError, UsageError, out_of_memory
from msda_tf.image_files import decode
from msda_tf.image_files.headers import BadFrame
from msda_tf.remote import cache
from msda_tf.remote.place import Place
from msda_tf.remote.shadow import Visit
from msda_tf.runs import elsewhere
from msda_tf.stylize import run as runs
from msda_tf.stylize.run import StylizeRun
from msda_tf.stylize.task import build_unit
from msda_tf.stylize.tiles import Translator, smallest_tile
from msda_tf.training import checkpoint_files
from msda_tf.training.checkpoints import Checkpoints

# What a checkpoint holds beyond what translates.
_NOT_FOR_TRANSLATING = re.compile(r"\w+_optimizer|unit/discriminator_.+")


def apply(
    run: StylizeRun,
    *,
    data: pathlib.Path,
    dataset: str,
    name: str,
    output: pathlib.Path | None = None,
    step: int | None = None,
    tile: int = 0,
    storage: Storage = Storage(),  # noqa: B008 (frozen)
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    on_saved: Callable[[], None] = lambda: None,
    runner: Runner | None = None,
) -> Manifest:
    """Writes `output/name`: the images of `data/dataset` in the look of the run's target.

    Args:
      run: trained, at least to its first checkpoint.
      data: folder of prepared data sets.
      dataset: which one to translate; need not be the one that the run was trained on.
      name: of the new one.
      output: folder of prepared data sets to write to; `data` by default.
      step: checkpoint to use; the newest by default.
      tile: height and width of tiles in pixels, a multiple of 4; 0: whole frames.
      storage: image format (None: each image's own) and JPEG quality.
      force: throw away what an earlier run wrote.
      progress: called with (images done, images in all).
      on_saved: called when a shard is written.
      runner: shards are translated by the workers of this one of Apache Beam, all of which see the same folders,
        instead of by this process.

    Raises:
      UsageError: names, tile or step are not possible, or the folder holds something else.
      MsdaError: there is no checkpoint, a shard is damaged, memory or disk is full, another process writes there, or
        the runner failed.
    """
    source = manifests.find(data, dataset)
    _check(run, dataset, name, tile)
    directory = pathlib.Path(output or data) / name
    directory.mkdir(parents=True, exist_ok=True)
    with lock.hold(directory, "msda-tf stylize apply"):
        step, translator = _load(run, step, tile)
        checksum = files.sha256(source.directory / FILE_NAME)
        options = _options(run, source, step=step, tile=tile, storage=storage)
        begun = Begun(
            directory, options, root=source.directory, same_input=lambda kept: kept.get("input_sha256") == checksum
        )
        if force:
            begun.clear()
        if finished := begun.finished():
            return finished
        begun.check_same_options()
        if runner is None:
            write = _here(source, directory, translator, storage)
        else:
            folders = runner.mounted(source.directory, directory)
            known_as = cache.shown(run.directory.absolute())
            if not files.is_url(known_as):
                folders += (pathlib.Path(known_as),)
            job = _Translate(
                folders,
                runner.places,
                known_as,
                step,
                tile,
                source.directory,
                directory,
                storage,
                source.max_pixels,
            )
            write = functools.partial(_on_beam, job, runner)
        return _write(source, begun, write, progress, on_saved)


def _check(run: StylizeRun, dataset: str, name: str, tile: int) -> None:
    if dataset == run.config.target:
        raise UsageError(f"{dataset!r} is the run's target: its images have the look that others are to take on")
    if pathlib.PurePath(name).name != name or name.startswith("."):
        raise UsageError(f"--name {name} is no folder name: use letters, digits, - and _")
    if name in (dataset, run.config.source, run.config.target):
        raise UsageError(f"--name {name} is that of a data set the run was made from: choose another")
    smallest = smallest_tile(run.config.blocks)
    if tile and (tile % 4 or tile < smallest):
        raise UsageError(f"--tile {tile} is not possible: it must be a multiple of 4, and {smallest} at least")


def _load(run: StylizeRun, step: int | None, tile: int) -> tuple[int, Translator]:
    """The checkpoint's step, and what translates with it."""
    checkpoints = Checkpoints(run.folder.checkpoints)
    known = checkpoints.steps()
    if step is not None and step not in known:
        raise UsageError(
            f"{run.directory} has no checkpoint of step {step}, only {', '.join(map(str, known)) or 'none'}"
        )
    unit = build_unit(run.config, discriminators=False)
    restored = checkpoints.restore({"unit": unit}, step=step, left_over=_NOT_FOR_TRANSLATING)
    if restored is None:
        raise MsdaError(f"{run.directory} has no checkpoint yet: train it first with msda-tf stylize train")
    return restored[0], Translator(unit, blocks=run.config.blocks, tile=tile)


def _options(run: StylizeRun, source: Manifest, *, step: int, tile: int, storage: Storage) -> dict:
    """What decides which bytes are stored, and where they come from, for dataset.json."""
    checkpoint = checkpoint_files.folder(run.folder.checkpoints, step)
    options = {
        "dataset": source.name,
        "stylized_to": run.config.target,
        "stylize_run": cache.shown(run.directory.resolve()),
        "stylize_step": step,
        "stylize_checkpoint_sha256": checkpoint_files.checksum(checkpoint),
        "stylize_source_sha256": files.sha256(source.directory / FILE_NAME),
        "tile": tile,
        "image_format": storage.image_format or "as it came",
    }
    if storage.image_format != "png":
        options["jpeg_quality"] = storage.jpeg_quality
    return options


Write = Callable[[dict[str, str], Callable[[int], None]], Iterator[notes.Result]]
"""Of shards, file name -> fingerprint, and a function to be called with numbers of images that are done: writes them
and their notes, and yields what is known of each."""


def _write(source: Manifest, begun: Begun, write: Write, progress, on_saved) -> Manifest:
    todo = {shard.file: shard for split in source.splits.values() for shard in split.shards}
    begun.start(set(todo))
    prints = {file: _fingerprint(shard, begun.options) for file, shard in todo.items()}
    results = {file: note for file in todo if (note := notes.read_note(begun.directory, file, prints[file]))}
    done, total = sum(result.examples for result in results.values()), sum(shard.examples for shard in todo.values())
    progress(done, total)

    def advance(images=1):
        nonlocal done
        done += images
        progress(done, total)

    for result in write({file: prints[file] for file in todo if file not in results}, advance):
        results[result.file] = result
        on_saved()
    manifest = _manifest(source, begun, results)
    if source.class_counts:  # the labels are the same, image by image
        with files.replacing(begun.directory / source.class_counts.file) as temporary:
            shutil.copyfile(source.directory / source.class_counts.file, temporary)
    begun.finish(manifest)
    return manifests.read(begun.directory)


def _here(source: Manifest, directory: pathlib.Path, translator: Translator, storage: Storage) -> Write:
    """Writes shards in this process."""

    def write(todo, advance):
        for file, print_of_shard in todo.items():
            path = source.directory / file
            result = _write_shard(path, directory, translator, storage, advance, max_pixels=source.max_pixels)
            notes.write_note(directory, result, print_of_shard)
            yield result

    return write


_loading = threading.Lock()


@functools.lru_cache(maxsize=1)
def _load_once(directory: str, step: int, tile: int) -> Translator:
    """On a worker, which brings a run at a URL: all of it, for the step may be an old one."""
    return _load(runs.read(elsewhere.bring(directory, elsewhere.to_go_on(directory))), step, tile)[1]


@dataclass(frozen=True)
class _Translate:
    """Translates a shard and writes its note, with networks that are loaded once for each worker."""

    folders: tuple[pathlib.Path, ...]
    places: tuple[Place, ...]
    run: str
    step: int
    tile: int
    source: pathlib.Path
    directory: pathlib.Path
    storage: Storage
    max_pixels: int

    def __call__(self, task: dict) -> dict:
        with _loading:  # a worker may do several tasks at a time
            translator = _load_once(self.run, self.step, self.tile)
        file = task["file"]
        if notes.read_note(self.directory, file, task["fingerprint"]) is not None:
            return {}
        with Visit(self.places) as visit:
            path, written = visit.bring(self.source / file), visit.path(self.directory / file)
            result = _write_shard(
                path, written.parent, translator, self.storage, lambda: None, max_pixels=self.max_pixels
            )
            notes.write_note(written.parent, result, task["fingerprint"])
            visit.send(written)
            visit.send(notes.note_path(written.parent, file))
        return {}


def _on_beam(job: _Translate, runner: Runner, todo: dict[str, str], advance) -> Iterator[notes.Result]:
    """Writes shards by the workers of a runner."""
    tasks = [{"file": file, "fingerprint": print_of_shard} for file, print_of_shard in todo.items()]
    mirror = runner.mirror
    if mirror:
        mirror.sync()
    for number, _ in spread(job, tasks, runner, job.directory):
        if mirror:
            file = job.directory / tasks[number]["file"]
            mirror.receive(file, content=False)
            mirror.receive(notes.note_path(job.directory, file.name), content=True)
        result = notes.written(job.directory, **tasks[number])
        advance(result.examples)
        yield result


def _fingerprint(shard: Shard, options: dict) -> str:
    return hashlib.sha256(json.dumps([options, dataclasses.asdict(shard)]).encode()).hexdigest()


def _write_shard(path, directory, translator, storage, on_image, *, max_pixels) -> notes.Result:
    """Translates one shard; it appears when it is whole."""
    with files.replacing(directory / path.name) as temporary, open(temporary, "wb") as file:
        written = ShardFile(file)
        try:
            for serialized in tfrecord.read(path):
                record = records.from_example(serialized)
                translated = translator(decode.decode(record.image, max_pixels=max_pixels))
                stored = images.encode(translated, storage.image_format or record.image_format, storage)
                written.add(dataclasses.replace(record, image=stored.data, image_format=stored.format), stored.rgb_sum)
                on_image()
        except (ValueError, BadFrame) as error:
            raise MsdaError(f"{path}: {error}; prepare the data set again with --force") from None
        except tf.errors.ResourceExhaustedError as error:
            raise MsdaError(f"{out_of_memory(error.message)}: translate in tiles, such as --tile 768") from None
    # Labels are the source's, whose pixels are known by split.
    return notes.result(path.name, written, class_pixels=(), ignored_pixels=0, image_counts=(), rejected=())


def _manifest(source: Manifest, begun: Begun, results: dict[str, notes.Result]) -> Manifest:
    def split(old: manifests.Split) -> manifests.Split:
        found = [results[shard.file] for shard in old.shards]
        shards = tuple(Shard(r.file, r.examples, r.bytes, r.sha256) for r in found)
        return dataclasses.replace(old, shards=shards, mean_rgb=notes.mean_rgb(found))

    sizes = Counter()
    for result in results.values():
        sizes.update(result.sizes)
    training = [results[shard.file] for shard in source.splits[source.training_split].shards]
    origin = {"input_sha256": files.sha256(begun.root / FILE_NAME)}
    options = describe(begun, origin=origin, sizes=dict(sizes), rejected=0, excluded=source.options.get("excluded", []))
    return dataclasses.replace(
        source,
        name=begun.directory.name,
        mean_rgb=notes.mean_rgb(training),
        splits={name: split(old) for name, old in source.splits.items()},
        options=options,
        directory=None,
    )
