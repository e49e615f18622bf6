"""SYNTHIA-RAND-CITYSCAPES (Ros et al., 2016) as downloaded: `RAND_CITYSCAPES/{RGB,GT/LABELS}/0000000.png` ...

Labels are 16-bit RGB PNGs: red = class id, green = instance. `GT/COLOR` is for looking at: its colours are not
unique, so it is never read. Many users hold labels of 8 bits made by scripts instead, with one of several
numberings: `numbering` tells which.
"""

import pathlib
import re

import numpy as np

from msda_tf import labels
from msda_tf.data.writing.label_maps import histogram
from msda_tf.errors import UsageError
from msda_tf.image_files import headers
from msda_tf.image_files.decode import samples
from msda_tf.image_files.headers import BadFrame

from ..files import listing
from ..labels.label_images import IdLabels, SynthiaLabels
from . import sim_splits
from .frames import Frame, LabelReader, RawDataset

LAYOUT = "RGB/0000000.png ... and GT/LABELS/0000000.png ... (SYNTHIA-RAND-CITYSCAPES unpacked)"
SOURCE = "https://synthia-dataset.net"
LABEL_FOLDERS = ("GT/LABELS", "parsed_LABELS", "GT/parsed_LABELS", "synthia_mapped_to_cityscapes")

# Folders that only other releases have: sequences (Stereo_*), SYNTHIA-SF (*Left), SYNTHIA-RAND-CVPR16 (GTTXT).
_OTHER_RELEASES = ("RGB/Stereo_*", "GTTXT", "RGBLeft", "SEQ*/RGBLeft", "*/RGB/Stereo_*", "SemSeg", "train/*/SemSeg")
_SAMPLE = 32


def find(root: pathlib.Path, *, lane_marking: str = "ignore", test_frames: int = sim_splits.TEST_FRAMES) -> RawDataset:
    """Looks a SYNTHIA-RAND-CITYSCAPES folder through; `root` is RAND_CITYSCAPES or the folder above it.

    Args:
      lane_marking: "ignore", or "road" to count lane markings as road, which they are in Cityscapes.

    Raises:
      UsageError: it is missing, empty, of another layout, another SYNTHIA release, or has labels in no known numbering.
    """
    listing.require_folder(root, LAYOUT, SOURCE)
    if (root / "RAND_CITYSCAPES").is_dir():
        root = root / "RAND_CITYSCAPES"
    for pattern in _OTHER_RELEASES:
        if other := next(root.glob(pattern), None):
            _refuse_release(f"{other} exists")
    if not (root / "RGB").is_dir():
        raise UsageError(f"{root / 'RGB'} does not exist: SYNTHIA is expected as {LAYOUT}; get it from {SOURCE}")
    images, unread = listing.image_files(root / "RGB", root=root, recursive=False)
    if not images:
        raise UsageError(f"{root / 'RGB'} holds no image: SYNTHIA is expected as {LAYOUT}; get it from {SOURCE}")
    if not re.fullmatch(r"\d{7}", images[0].stem):
        _refuse_release(f"{images[0]} is not named with seven digits")
    label_folder = next((root / name for name in LABEL_FOLDERS if (root / name).is_dir()), None)
    if label_folder is None:
        raise UsageError(f"{root / 'GT/LABELS'} does not exist: SYNTHIA is expected as {LAYOUT}; get it from {SOURCE}")
    frames, rejected, left_out = listing.pair_by_stem(images, label_folder, root=root)
    found, reader = _label_reader(label_folder, frames, lane_marking)
    notices = [] if found == "original" else [f"{label_folder} holds 8-bit labels, read as {found}"]
    names = [path.relative_to(root).as_posix() for path in images]
    parts, splits, more = sim_splits.first_as_test(frames, names=names, test_frames=test_frames)
    return RawDataset(
        kind="synthia",
        root=root,
        classes=labels.CITYSCAPES_CLASSES,
        labels=reader,
        parts=parts,
        splits=splits,
        training_split="train",
        evaluation_split="test",
        rules={"lane_marking": lane_marking, "test_frames": test_frames, "labels": found},
        rejected=(*unread, *rejected),
        notices=(*left_out, *notices, *more),
    )


def _refuse_release(why: str) -> None:
    raise UsageError(
        f"not SYNTHIA-RAND-CITYSCAPES ({why}): the other SYNTHIA releases number their classes differently; "
        f"get SYNTHIA-RAND-CITYSCAPES from {SOURCE}, or describe yours in a YAML file (--dataset custom)"
    )


def _label_reader(folder: pathlib.Path, frames: list[Frame], lane_marking: str) -> tuple[str, LabelReader]:
    """What the labels are ("original" or a numbering), and their reader."""
    table = labels.id_lookup(labels.SYNTHIA_IDS, labels.SYNTHIA_IGNORED_IDS)
    if lane_marking == "road":
        table[labels.SYNTHIA_LANE_MARKING] = labels.CITYSCAPES_CLASSES.names.index("road")
    sample = frames[:: max(1, len(frames) // _SAMPLE)]
    present: set[int] = set()
    for frame in sample:
        try:
            header = headers.read(frame.label)
            if (header.bits, header.color) not in ((8, "grey"), (8, "palette")):
                continue
            present.update(np.flatnonzero(histogram(samples(headers.read_file(frame.label)))).tolist())
        except BadFrame:
            continue  # reported with all others when every frame is checked
    if not present:
        return "original", SynthiaLabels(table)
    found = numbering(present)
    if found is None:
        raise UsageError(
            f"{folder} holds 8-bit labels in no numbering that can be told from their ids "
            f"({', '.join(map(str, sorted(present)))}): use the original 16-bit GT/LABELS"
        )
    if found == "SYNTHIA ids":
        return found, IdLabels(table)
    if lane_marking == "road":
        raise UsageError(
            f"{folder} holds {found}, where lane markings are already gone: --lane-marking road needs GT/LABELS"
        )
    if found == "Cityscapes ids":
        return found, IdLabels(labels.id_lookup(labels.CITYSCAPES_IDS, labels.CITYSCAPES_IGNORED_IDS))
    return found, IdLabels(labels.id_lookup(tuple(range(len(labels.CITYSCAPES_CLASSES))), (labels.IGNORE,)))


def numbering(present: set[int]) -> str | None:
    """Tells the numbering of 8-bit SYNTHIA labels from the ids that occur in a sample of them.

    SYNTHIA ids end at 22 (lane marking, in nearly every frame) and have no 255; Cityscapes ids have sky at 23 and
    cars at 26; trainIds mark void as 255 and have bicycles at 18. A numbering of 16 classes ends at 15 and is not
    recognised, as it is not unique.

    Returns:
      "SYNTHIA ids", "Cityscapes ids", "trainIds", or None if it cannot be told.
    """
    ids = present - {labels.IGNORE}
    if labels.IGNORE in present:
        return "trainIds" if ids and 15 < max(ids) < len(labels.CITYSCAPES_CLASSES) else None
    if ids & set(range(23, 35)) and max(ids) < 35:
        return "Cityscapes ids"
    return "SYNTHIA ids" if ids & set(range(19, 23)) and max(ids) < 23 else None
