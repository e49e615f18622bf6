"""`dataset.json`: what a prepared data set holds.

A prepared data set is a folder `<data>/<name>/` of TFRecord shards and one `dataset.json`, which `prepare` writes
last: a folder without it was never finished. Splits may share shards: GTA5's and SYNTHIA's `test` split is the first
500 files, which are also part of `train` (the paper trains on the full data set).
"""

import pathlib
import re
from dataclasses import asdict, dataclass, field, replace

from msda_tf import files
from msda_tf.data.json_keys import Damaged, Keys
from msda_tf.errors import MsdaError, UsageError
from msda_tf.image_files import headers
from msda_tf.labels import IGNORE, ClassList
from msda_tf.remote import cache

FILE_NAME = "dataset.json"
FORMAT = 1
_SIZE = re.compile(r"[1-9]\d{0,8}x[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One TFRecord file: its name, number of examples, size in bytes, and SHA-256."""

    file: str
    examples: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class CountsFile:
    """The file of pixels per class and image (`msda_tf.data.class_counts`): its name and SHA-256."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
      shards: in reading order.
      labelled: whether every example carries a label (none does otherwise).
      class_pixels: number of label pixels of each class, in trainId order; zeros if unlabelled.
      ignored_pixels: number of label pixels of no class.
      mean_rgb: per-channel mean of its images; None if it was prepared before splits had one.
    """

    shards: tuple[Shard, ...]
    labelled: bool
    class_pixels: tuple[int, ...]
    ignored_pixels: int
    mean_rgb: tuple[float, float, float] | None = None

    @property
    def examples(self) -> int:
        """Number of images."""
        return sum(shard.examples for shard in self.shards)


@dataclass(frozen=True)
class Manifest:
    """A prepared data set.

    Attributes:
      name: the folder's name, by which `train` calls it.
      kind: the converter that made it: gta5, synthia, cityscapes, folder, custom, or a name of the catalogue.
      classes: the classes of its labels, in trainId order.
      height, width: nominal size of the stored images (the most frequent), in pixels.
      mean_rgb: per-channel mean of the training images, 0-255, all pixels weighted equally.
      splits: by name.
      training_split: the split that sources and the unlabelled target train on.
      evaluation_split: the split that `evaluate` scores; None if no split has labels to score.
      options: what `prepare` was asked for (scale, image format, label rules), and where the data came from.
      class_counts: where the pixels of each class in each image are; None without labels, or if it was prepared before
        they were stored.
      directory: the folder; None before it is written.
    """

    name: str
    kind: str
    classes: ClassList
    height: int
    width: int
    mean_rgb: tuple[float, float, float]
    splits: dict[str, Split]
    training_split: str
    evaluation_split: str | None
    options: dict = field(default_factory=dict)
    class_counts: CountsFile | None = None
    directory: pathlib.Path | None = None

    @property
    def scale(self) -> float | None:
        """Part of their own width and height that the images were resized to, 0-1; None if that is not known."""
        return self.options.get("scale")

    @property
    def max_pixels(self) -> int:
        """How many pixels decoders are to take: those of its largest image, if that is beyond the usual limit."""
        sizes = (size.split("x") for size in self.options.get("sizes", {}))
        return min(headers.LARGEST, max([headers.MAX_PIXELS, *(int(width) * int(height) for width, height in sizes)]))

    def shard_paths(self, split: str) -> list[pathlib.Path]:
        """Paths of a split's shards, in reading order."""
        return [self.directory / shard.file for shard in self.splits[split].shards]


def to_json(manifest: Manifest) -> dict:
    """The manifest as JSON-ready dictionaries, in the order people read it."""
    value = {
        "format": FORMAT,
        "name": manifest.name,
        "kind": manifest.kind,
        "height": manifest.height,
        "width": manifest.width,
        "mean_rgb": list(manifest.mean_rgb),
        "training_split": manifest.training_split,
        "evaluation_split": manifest.evaluation_split,
        "options": manifest.options,
        "classes": [
            {"name": name, "color": list(color)}
            for name, color in zip(manifest.classes.names, manifest.classes.colors, strict=True)
        ],
        "splits": {
            name: {
                "examples": split.examples,
                "labelled": split.labelled,
                "class_pixels": dict(zip(manifest.classes.names, split.class_pixels, strict=True)),
                "ignored_pixels": split.ignored_pixels,
                **({"mean_rgb": list(split.mean_rgb)} if split.mean_rgb else {}),
                "shards": [asdict(shard) for shard in split.shards],
            }
            for name, split in manifest.splits.items()
        },
    }
    if manifest.class_counts:
        value["class_counts"] = asdict(manifest.class_counts)
    return value


def write(manifest: Manifest, directory: pathlib.Path) -> None:
    """Writes `directory/dataset.json` atomically."""
    files.write_json(directory / FILE_NAME, to_json(manifest))


def read(directory: pathlib.Path) -> Manifest:
    """Reads `directory/dataset.json`.

    Raises:
      MsdaError: it is missing, damaged, or of another version.
    """
    path = pathlib.Path(directory) / FILE_NAME
    try:
        value = files.read_json(path)
    except FileNotFoundError:
        raise MsdaError(
            f"{path} does not exist: the data set was never prepared to the end; run msda-tf prepare"
        ) from None
    except (OSError, ValueError) as error:
        raise MsdaError(f"{path} cannot be read ({error}): prepare the data set again with --force") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise MsdaError(
            f"{path} is not of format {FORMAT}, which this version reads: prepare the data set again with --force"
        )
    try:
        return replace(_from_json(Keys(value)), directory=path.parent)
    except Damaged as error:
        raise MsdaError(f"{path} is damaged (at {error}): prepare the data set again with --force") from None


def class_list(keys: Keys) -> ClassList:
    """The key "classes", names and colours in the order of trainIds, as `dataset.json` and exports have it.

    Raises:
      Damaged: it is something else.
    """
    entries = [Keys(item, key) for key, item in keys.sequence("classes")]
    names = tuple(entry.text("name") for entry in entries)
    if not 0 < len(set(names)) == len(names) < IGNORE:
        raise Damaged(f"classes: expected 1 to {IGNORE - 1} of different names, found {len(names)}")
    return ClassList(names, tuple(entry.color("color", 255) for entry in entries))


def _from_json(keys: Keys) -> Manifest:
    classes = class_list(keys)
    below = keys.below("splits")
    splits = {name: _split(below.below(name), classes) for name in below}
    training = keys.text("training_split")
    evaluation = None if keys.get("evaluation_split") is None else keys.text("evaluation_split")
    for split in (training, evaluation):
        if split is not None and split not in splits:
            raise Damaged(f"splits: {split} is missing, by which the data set is trained or evaluated on")
    return Manifest(
        name=keys.text("name"),
        kind=keys.text("kind"),
        classes=classes,
        height=keys.whole("height", 1, headers.LARGEST),
        width=keys.whole("width", 1, headers.LARGEST),
        mean_rgb=keys.color("mean_rgb", 255.0),
        splits=splits,
        training_split=training,
        evaluation_split=evaluation,
        options=_options(keys),
        class_counts=_counts_file(keys.below("class_counts")) if "class_counts" in keys else None,
    )


def _split(keys: Keys, classes: ClassList) -> Split:
    shards = [Keys(item, key) for key, item in keys.sequence("shards")]
    if not shards:
        raise Damaged(f"{keys.at('shards')}: expected one at least")
    pixels = keys.below("class_pixels")
    return Split(
        shards=tuple(
            Shard(_file_name(shard), shard.whole("examples", 1), shard.whole("bytes", 1), shard.text("sha256"))
            for shard in shards
        ),
        labelled=keys.flag("labelled"),
        class_pixels=tuple(pixels.whole(name) for name in classes.names),
        ignored_pixels=keys.whole("ignored_pixels"),
        mean_rgb=keys.color("mean_rgb", 255.0) if "mean_rgb" in keys else None,
    )


def _file_name(keys: Keys) -> str:
    name = keys.text("file")
    if pathlib.PurePath(name).name != name or "\0" in name:
        raise Damaged(f"{keys.at('file')}: expected the name of a file in the data set's folder, not {name!r}")
    return name


def _counts_file(keys: Keys) -> CountsFile:
    return CountsFile(_file_name(keys), keys.text("sha256"))


def _options(keys: Keys) -> dict:
    """The options as they are; those that anything here reads are looked at."""
    options = keys.below("options")
    if "sizes" in options:
        sizes = options.below("sizes")
        for size in sizes:
            if not _SIZE.fullmatch(size):
                raise Damaged(f"{sizes.at(size)}: expected a size such as 1280x720")
            sizes.whole(size)
    if "excluded" in options:
        for key, name in options.sequence("excluded"):
            if not isinstance(name, str):
                raise Damaged(f"{key}: expected the name of an image")
    if "rejected" in options:
        options.whole("rejected")
    if "scale" in options:
        options.number("scale", 1e6)
    return keys.get("options")


def available(data: str | pathlib.Path) -> list[str]:
    """Names of the data sets prepared under the folder `data`, sorted."""
    data = cache.here(data)
    return sorted(path.parent.name for path in data.glob(f"*/{FILE_NAME}")) if data.is_dir() else []


def find(data: str | pathlib.Path, name: str) -> Manifest:
    """The data set `name` under the folder `data`; of `acdc:night`, its condition night alone.

    Of a URL it is what `msda_tf.data.elsewhere` has brought.

    Raises:
      UsageError: there is no such prepared data set, or it has no such condition.
    """
    data = cache.here(data)
    name, _, condition = name.partition(":")
    if condition:
        return under(find(data, name), condition)
    if not (data / name / FILE_NAME).is_file():
        known = available(data)
        there = f"prepared there: {', '.join(known)}" if known else "nothing is prepared there"
        hint = f"run msda-tf prepare --dataset {name} --output {data}"
        raise UsageError(
            f"data set {name!r} is not prepared in {data}/ ({there}): {hint}, or name its folder with --data"
        )
    return read(data / name)


def under(manifest: Manifest, condition: str) -> Manifest:
    """The data set under one condition: trained on `train_<condition>` with the mean of its images, and evaluated on
    `val_<condition>`, whatever its training and evaluation split are called.

    Raises:
      UsageError: there is no such training split.
    """
    training = f"{manifest.training_split}_{condition}"
    if training not in manifest.splits:
        beginning = f"{manifest.training_split}_"
        known = [split.removeprefix(beginning) for split in manifest.splits if split.startswith(beginning)]
        has = f"it has {', '.join(known)}" if known else "its splits are not divided by condition"
        raise UsageError(f"data set {manifest.name!r} has no condition {condition!r}: {has}")
    evaluation = f"{manifest.evaluation_split}_{condition}"
    return replace(
        manifest,
        name=f"{manifest.name}:{condition}",
        mean_rgb=manifest.splits[training].mean_rgb or manifest.mean_rgb,
        training_split=training,
        evaluation_split=evaluation if evaluation in manifest.splits else None,
    )
