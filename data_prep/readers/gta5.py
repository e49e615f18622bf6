"""GTA5 (Richter et al., 2016) as downloaded: `images/00001.png` ... and `labels/00001.png` ...

Labels are palette PNGs whose indices are Cityscapes label ids.
"""

import pathlib

from msda_tf import labels
from msda_tf.errors import UsageError

from ..files import listing
from ..labels.label_images import IdLabels
from . import sim_splits
from .frames import RawDataset

LAYOUT = "images/00001.png ... and labels/00001.png ... (all ten image and label archives unpacked into it)"
SOURCE = "https://download.visinf.tu-darmstadt.de/data/from_games"

# Image and label of these two differ in size in the published archives.
KNOWN_BAD = frozenset({"images/15188.png", "images/17705.png"})


def find(root: pathlib.Path, *, test_frames: int = sim_splits.TEST_FRAMES) -> RawDataset:
    """Looks a GTA5 folder through.

    Raises:
      UsageError: it is missing, empty, or has another layout.
    """
    listing.require_folder(root, LAYOUT, SOURCE)
    image_folder, label_folder = root / "images", root / "labels"
    for folder in (image_folder, label_folder):
        if not folder.is_dir():
            raise UsageError(f"{folder} does not exist: GTA5 is expected as {LAYOUT}; get it from {SOURCE}")
    images, unread = listing.image_files(image_folder, root=root, recursive=False)
    if not images and not unread:
        raise UsageError(f"{image_folder} holds no image: GTA5 is expected as {LAYOUT}; get it from {SOURCE}")
    frames, rejected, left_out = listing.pair_by_stem(images, label_folder, root=root)
    names = [path.relative_to(root).as_posix() for path in images]
    parts, splits, notices = sim_splits.first_as_test(frames, names=names, test_frames=test_frames)
    return RawDataset(
        kind="gta5",
        root=root,
        classes=labels.CITYSCAPES_CLASSES,
        labels=IdLabels(labels.id_lookup(labels.CITYSCAPES_IDS, labels.CITYSCAPES_IGNORED_IDS)),
        parts=parts,
        splits=splits,
        training_split="train",
        evaluation_split="test",
        rules={"test_frames": test_frames},
        rejected=(*unread, *rejected),
        known_bad=KNOWN_BAD,
        notices=(*left_out, *notices),
    )
