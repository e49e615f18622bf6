"""What is worth knowing of a prepared data set before training on it: figures, oddities, and a few of its images."""

import pathlib
from dataclasses import dataclass

import numpy as np

from msda_tf.data import manifest as manifests
from msda_tf.data import records
from msda_tf.data.index import RecordIndex
from msda_tf.data.manifest import Manifest, Split
from msda_tf.errors import MsdaError
from msda_tf.image_files import decode
from msda_tf.image_files.headers import BadFrame

RARE = 1e-4
"""Share of the labelled pixels below which a class is pointed out."""


@dataclass(frozen=True)
class Sample:
    """One stored frame, decoded.

    Attributes:
      name: the image's path inside its data set.
      image: uint8 `[H, W, 3]` RGB.
      label: trainIds, uint8 `[H, W]`; None if unlabelled.
    """

    name: str
    image: np.ndarray
    label: np.ndarray | None


def labelled_split(manifest: Manifest) -> str | None:
    """The split whose labels say most of a data set: the training split if it has any; None without labels."""
    names = [manifest.training_split, manifest.evaluation_split, *manifest.splits]
    return next((name for name in names if name and manifest.splits[name].labelled), None)


def class_shares(split: Split) -> np.ndarray:
    """Share of each class among the labelled pixels: float64 `[classes]`, adding up to 1 (0 if there are none)."""
    pixels = np.asarray(split.class_pixels, np.float64)
    return pixels / max(pixels.sum(), 1)


def neighbours(manifest: Manifest) -> list[Manifest]:
    """The other data sets in the same folder that have labels of the same classes, by name."""
    data = manifest.directory.resolve().parent
    found = []
    for name in manifests.available(data):
        if name == manifest.directory.resolve().name:
            continue
        try:
            other = manifests.read(data / name)
        except MsdaError:  # damaged: whoever uses it will hear of it
            continue
        if other.classes.names == manifest.classes.names and labelled_split(other):
            found.append(other)
    return found


def oddities(manifest: Manifest, others: list[Manifest]) -> list[str]:
    """Sentences about what may surprise in training: absent and rare classes, ignored pixels, sizes, bad frames."""
    found = []
    name = labelled_split(manifest)
    if name is None:
        found.append("No image has a label: the data set can only be a target.")
    else:
        split = manifest.splits[name]
        shares = class_shares(split)
        names = np.asarray(manifest.classes.names)
        if absent := names[shares == 0].tolist():
            found.append(f"No pixel of split {name} is {listed(absent)}.")
        if rare := names[(shares > 0) & (shares < RARE)].tolist():
            found.append(f"Fewer than one labelled pixel in {round(1 / RARE)} of split {name} is {listed(rare)}.")
        ignored = split.ignored_pixels / max(1, split.ignored_pixels + sum(split.class_pixels))
        if ignored > 0.2:
            found.append(f"{ignored:.0%} of the label pixels of split {name} are ignored.")
        for other in others:
            theirs = class_shares(other.splits[labelled_split(other)])
            if missing := names[(shares == 0) & (theirs > 0)].tolist():
                found.append(f"{other.name} has {listed(missing, 'and')}, which {manifest.name} does not show.")
    sizes = manifest.options.get("sizes", {})
    if len(sizes) > 1:
        found.append(f"Images are of {len(sizes)} sizes; {manifest.width}x{manifest.height} is the most frequent.")
    if excluded := manifest.options.get("excluded"):
        found.append(f"Left out, as they are damaged in the published data: {', '.join(excluded)}.")
    if rejected := manifest.options.get("rejected"):
        found.append(f"Left out: {rejected} bad frames (see {manifest.directory / 'rejected.csv'}).")
    return found


def listed(names: list[str], word: str = "or") -> str:
    """Names as a sentence has them: "a, b or c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def sample(manifest: Manifest, split: str, count: int) -> list[Sample]:
    """Frames of a split, evenly spaced from its first to its last; all of them if there are no more than `count`.

    Raises:
      MsdaError: a shard is missing or damaged.
    """
    shards = manifest.splits[split].shards
    total = manifest.splits[split].examples
    wanted = sorted({round(place) for place in np.linspace(0, total - 1, min(count, total))})
    found, first = [], 0
    for shard in shards:
        inside = [position - first for position in wanted if first <= position < first + shard.examples]
        first += shard.examples
        if not inside:
            continue
        index = RecordIndex(manifest.directory, [shard])
        for position in inside:
            found.append(_decode(index.read(position), manifest.directory / shard.file, manifest.max_pixels))
    return found


def _decode(serialized: bytes, path: pathlib.Path, max_pixels: int) -> Sample:
    try:
        record = records.from_example(serialized)
    except ValueError as error:
        raise MsdaError(f"{path}: {error}: prepare the data set again with --force") from None
    try:
        image = decode.decode(record.image, max_pixels=max_pixels)
        label = None if record.label is None else decode.samples(record.label, max_pixels=max_pixels)
    except BadFrame as error:
        raise MsdaError(f"{path}: {record.filename}: {error}: prepare the data set again with --force") from None
    return Sample(record.filename, image, label)
