"""The target's own labels as a source: what a network learns that needs no adaptation, the oracle of a table.

Training refuses a target among its sources. The oracle therefore trains on a data set of another name, made of links
to the target's shards. Images that are scored are left out, for otherwise it would be tested on what it learned: GTA5
and SYNTHIA have their test images in their training split.
"""

import dataclasses
import os
import pathlib

from msda_tf.data import manifest as manifests
from msda_tf.data.manifest import Manifest, Shard, Split
from msda_tf.errors import UsageError

FOLDER = "labelled"
"""Of the linked data sets, inside an experiment's output."""


def labelled_name(target: str) -> str:
    """Name of the data set that is the target with its labels."""
    return f"{target}_labelled"


def possible(found: Manifest) -> bool:
    """Whether a target has labelled training images besides those that are scored."""
    return found.splits[found.training_split].labelled and bool(_shards(found))


def link(data: pathlib.Path, target: str, output: pathlib.Path) -> Manifest:
    """Makes `output/TARGET`, a link to the target, and `output/TARGET_labelled`: its training images with labels.

    Args:
      data: the folder of prepared data sets.
      target: name of one.
      output: the folder for the links; what is there is brought up to date.

    Raises:
      UsageError: the target is not prepared, or has no labelled images besides those that are scored.
    """
    found = manifests.find(data, target)
    if not possible(found):
        raise UsageError(f"{target!r} has no labelled images besides its test images: an oracle cannot be trained")
    training, scored, shards = found.splits[found.training_split], _scored(found), _shards(found)
    pixels, ignored = training.class_pixels, training.ignored_pixels
    if len(shards) < len(training.shards):
        pixels = tuple(all_ - test for all_, test in zip(pixels, scored.class_pixels, strict=True))
        ignored -= scored.ignored_pixels
    labelled = dataclasses.replace(
        found,
        name=labelled_name(target),
        splits={found.training_split: Split(shards, True, pixels, ignored)},
        evaluation_split=None,
        class_counts=None,  # those of the target have rows of the test images, too
    )
    directory = output / labelled.name
    directory.mkdir(parents=True, exist_ok=True)
    _point(output / target, found.directory)
    for shard in shards:
        _point(directory / shard.file, found.directory / shard.file)
    path = directory / manifests.FILE_NAME
    if not path.is_file() or manifests.to_json(manifests.read(directory)) != manifests.to_json(labelled):
        manifests.write(labelled, directory)
    return manifests.read(directory)


def _scored(found: Manifest) -> Split:
    return found.splits[found.evaluation_split] if found.evaluation_split else Split((), False, (), 0)


def _shards(found: Manifest) -> tuple[Shard, ...]:
    """Of the training images that are not scored."""
    scored = {shard.file for shard in _scored(found).shards}
    return tuple(shard for shard in found.splits[found.training_split].shards if shard.file not in scored)


def _point(link_path: pathlib.Path, to: pathlib.Path) -> None:
    """Makes or corrects a link."""
    to = to.resolve()
    if link_path.is_symlink() and link_path.resolve() == to:
        return
    temporary = link_path.with_name(f".{link_path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(to, target_is_directory=to.is_dir())
    os.replace(temporary, link_path)
