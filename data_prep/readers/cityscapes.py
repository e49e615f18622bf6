"""Cityscapes (Cordts et al., 2016) as downloaded: `leftImg8bit/<split>/<city>/...` and `gtFine/<split>/<city>/...`

Labels are read from `*_gtFine_labelIds.png`, so that the data set's own conversion tool is not needed.
"""

import pathlib

from msda_tf import labels
from msda_tf.data.writing.notes import Rejected
from msda_tf.errors import UsageError
from msda_tf.image_files import walk

from ..files import listing
from ..labels.label_images import IdLabels
from .frames import Part, RawDataset

LAYOUT = (
    "leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png and gtFine/{train,val}/<city>/*_gtFine_labelIds.png "
    "(leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip unpacked into it)"
)
SOURCE = "https://www.cityscapes-dataset.com"
SPLITS = ("train", "val", "test")
IMAGE_END, LABEL_END = "_leftImg8bit.png", "_gtFine_labelIds.png"


def find(root: pathlib.Path) -> RawDataset:
    """Looks a Cityscapes folder through; any subset of the three splits will do.

    The labels of the test split are blank in the published archives: it is taken as unlabelled.

    Raises:
      UsageError: it is missing, empty, or has another layout.
    """
    listing.require_folder(root, LAYOUT, SOURCE)
    parts, rejected, notices = [], [], []
    for split in SPLITS:
        images, unread = _files(root, root / "leftImg8bit" / split, IMAGE_END)
        rejected += unread
        label_folder = root / "gtFine" / split
        if not images:
            _refuse_labels_alone(root, split)
            continue
        labelled = split != "test" and label_folder.is_dir()
        if split == "train" and not labelled:
            _refuse_coarse(root)
        if labelled:
            labels_of_split, unread = _files(root, label_folder, LABEL_END)
            rejected += unread
            if not labels_of_split and not unread:
                _refuse_other_labels(label_folder)
            frames, bad = listing.pair(
                images,
                labels_of_split,
                root=root,
                key_of_image=lambda path: path.name.removesuffix(IMAGE_END),
                key_of_label=lambda path: path.name.removesuffix(LABEL_END),
            )
        else:
            frames, bad = listing.unlabelled(images, root=root)
            if split != "test":
                notices.append(f"{label_folder} does not exist: split {split} is stored without labels")
        parts.append(Part(split, tuple(frames), labelled))
        rejected += bad
    if not parts:
        extra = (
            " (train_extra is there, which has coarse labels only)"
            if (root / "leftImg8bit/train_extra").is_dir()
            else ""
        )
        raise UsageError(
            f"{root}/leftImg8bit holds no image of train, val or test{extra}: Cityscapes is expected as {LAYOUT}; "
            f"get it from {SOURCE}"
        )
    training = parts[0].name  # in the order train, val, test
    if training != "train":
        notices.append(f"there is no train split: {training} is taken for training")
    with_labels = [part.name for part in parts if part.labelled]
    evaluation = with_labels[-1] if with_labels else None
    if evaluation != "val":
        notices.append(
            f"there is no labelled val split: {evaluation} is taken for evaluation"
            if evaluation
            else "no split has labels: the data set can be a target to train for, but not be evaluated on"
        )
    return RawDataset(
        kind="cityscapes",
        root=root,
        classes=labels.CITYSCAPES_CLASSES,
        labels=IdLabels(labels.id_lookup(labels.CITYSCAPES_IDS, labels.CITYSCAPES_IGNORED_IDS)),
        parts=tuple(parts),
        splits={part.name: (part.name,) for part in parts},
        training_split=training,
        evaluation_split=evaluation,
        rejected=tuple(rejected),
        notices=tuple(notices),
    )


def _refuse_labels_alone(root: pathlib.Path, split: str) -> None:
    """Raises UsageError if a split has labels, but no image; the blank ones of test do not count."""
    if split != "test" and (alone := _files(root, root / "gtFine" / split, LABEL_END)[0]):
        raise UsageError(
            f"{root / 'gtFine' / split} holds {len(alone)} labels, but {root / 'leftImg8bit' / split} no image: unpack "
            "leftImg8bit_trainvaltest.zip beside it, too"
        )


def _refuse_coarse(root: pathlib.Path) -> None:
    """Raises UsageError if there are coarse labels where fine ones are due."""
    if (root / "gtCoarse" / "train").is_dir():
        raise UsageError(
            f"{root / 'gtCoarse'} holds Cityscapes' coarse labels, gtFine/train is expected: unpack "
            "gtFine_trainvaltest.zip beside it (or, for the images alone, use --dataset folder)"
        )


def _refuse_other_labels(folder: pathlib.Path) -> None:
    """Raises UsageError if a folder of labels holds none that is read, but others."""
    if there := listing.image_files(folder, root=folder)[0]:
        raise UsageError(
            f"{folder} holds {len(there)} files such as {there[0].relative_to(folder)}, but no *{LABEL_END}: these are "
            "read, not the trainIds or colours made from them; unpack gtFine_trainvaltest.zip again"
        )


def _files(root: pathlib.Path, folder: pathlib.Path, end: str) -> tuple[list[pathlib.Path], list[Rejected]]:
    """The files of one kind in a folder, and what could not be looked at."""
    if not folder.is_dir():
        return [], listing.as_rejected(walk.dead([folder]), root=root)
    found, unread = listing.image_files(folder, root=root)
    return [path for path in found if path.name.endswith(end)], unread
