"""What is known of a finished shard, and the note by which a later run knows that it need not be written again."""

import hashlib
import json
import pathlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from msda_tf import files
from msda_tf.data.writing.shard_file import ShardFile
from msda_tf.errors import MsdaError


@dataclass(frozen=True)
class Rejected:
    """A frame that cannot be used: its name, the file that is to blame, and the reason."""

    frame: str
    file: str
    reason: str


@dataclass(frozen=True)
class Result:
    """What is known of a finished shard.

    Attributes:
      file, examples, bytes, sha256: as in `msda_tf.data.manifest.Shard`.
      rgb_sum, pixels: sum of the stored images' pixels per channel, and their number.
      class_pixels, ignored_pixels: label pixels per class, and of no class.
      image_counts: the same for each image, `[examples, classes + 1]`; empty without labels.
      sizes: "<width>x<height>" -> number of images.
      contents: frame's name -> checksums of its files, for whoever asks later whether they are still the same.
      rejected: frames that turned out bad when they were decoded; they are not in the shard.
    """

    file: str
    examples: int
    bytes: int
    sha256: str
    rgb_sum: tuple[int, int, int]
    pixels: int
    class_pixels: tuple[int, ...]
    ignored_pixels: int
    image_counts: tuple[tuple[int, ...], ...]
    sizes: dict[str, int]
    contents: dict[str, tuple[int | None, ...]]
    rejected: tuple[Rejected, ...]


def result(
    file: str,
    written: ShardFile,
    *,
    class_pixels: tuple[int, ...],
    ignored_pixels: int,
    image_counts: tuple[tuple[int, ...], ...],
    contents: dict[str, tuple[int | None, ...]] | None = None,
    rejected: tuple[Rejected, ...],
) -> Result:
    """Of a shard that is written."""
    return Result(
        file=file,
        examples=written.examples,
        bytes=written.bytes,
        sha256=written.sha256,
        rgb_sum=written.rgb_sum,
        pixels=written.pixels,
        class_pixels=class_pixels,
        ignored_pixels=ignored_pixels,
        image_counts=image_counts,
        sizes=written.sizes,
        contents=contents or {},
        rejected=rejected,
    )


def mean_rgb(results: Iterable[Result]) -> tuple[float, float, float]:
    """Per-channel mean of the images of several shards, all pixels weighted equally."""
    results = list(results)
    pixels = sum(result.pixels for result in results)
    return tuple(sum(result.rgb_sum[channel] for result in results) / pixels for channel in range(3))


def note_path(directory: pathlib.Path, file: str) -> pathlib.Path:
    """The note beside the shard `file`."""
    return directory / f".{file}.json"


def write_note(directory: pathlib.Path, result: Result, print_of_shard: str) -> None:
    """Leaves a note beside a finished shard, by which a later run knows that it need not be written again."""
    value = {"fingerprint": print_of_shard, **asdict(result)}
    files.write_json(note_path(directory, result.file), {"checksum": _checksum(value), **value})


def _checksum(value: dict) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def read_note(directory: pathlib.Path, file: str, print_of_shard: str) -> Result | None:
    """The note's content if the shard is there and was made by the same conversion; None otherwise."""
    try:
        value = files.read_json(note_path(directory, file))
        if value.pop("checksum") != _checksum(value):
            return None
        if value.pop("fingerprint") != print_of_shard or (directory / file).stat().st_size != value["bytes"]:
            return None
        value["contents"] = {name: tuple(checksums) for name, checksums in value["contents"].items()}
        value["rejected"] = tuple(Rejected(**bad) for bad in value["rejected"])
        value["image_counts"] = tuple(tuple(counts) for counts in value["image_counts"])
        return Result(**value | {"rgb_sum": tuple(value["rgb_sum"]), "class_pixels": tuple(value["class_pixels"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def written(directory: pathlib.Path, file: str, fingerprint: str) -> Result:
    """The note of a shard that another machine says it wrote.

    Raises:
      MsdaError: it is not there.
    """
    found = read_note(directory, file, fingerprint)
    if found is None:
        raise MsdaError(
            f"a worker wrote {file}, and it is not in {directory} as seen from here: every worker must mount the same "
            "folder, at the same path"
        )
    return found
