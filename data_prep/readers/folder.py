"""A plain folder of images without labels, nested or not: a target to train for."""

import pathlib

from msda_tf import labels
from msda_tf.errors import UsageError
from msda_tf.image_files import film

from ..files import listing
from .frames import Part, RawDataset

LAYOUT = "PNG or JPEG images, in sub-folders or not"


def find(root: pathlib.Path) -> RawDataset:
    """Takes every image below `root` as one unlabelled split `train`.

    Raises:
      UsageError: there is none.
    """
    if root.is_file():
        endings = ", ".join(film.ENDINGS)
        raise UsageError(f"{root} is not a folder: expected one of {LAYOUT}, or a film ({endings}), with --raw")
    listing.require_folder(root, LAYOUT, "your own camera")
    images, unread = listing.image_files(root, root=root)
    frames, rejected = listing.unlabelled(images, root=root)
    if not frames and not unread:
        raise UsageError(f"{root} holds no image: expected {LAYOUT}")
    return RawDataset(
        kind="folder",
        root=root,
        classes=labels.CITYSCAPES_CLASSES,
        labels=None,
        parts=(Part("train", tuple(frames), labelled=False),),
        splits={"train": ("train",)},
        training_split="train",
        evaluation_split=None,
        rejected=(*unread, *rejected),
        notices=("the images have no labels: the data set can be a target to train for, but not be evaluated on",),
    )
