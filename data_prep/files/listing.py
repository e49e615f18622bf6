"""Listing a raw folder: image files by name, pairs of image and label, and what is missing or double."""

import pathlib
import unicodedata
from collections.abc import Callable, Iterable

from msda_tf.data.writing.notes import Rejected
from msda_tf.errors import UsageError
from msda_tf.image_files import walk

from ..readers.frames import Frame


def require_folder(root: pathlib.Path, layout: str, source: str) -> None:
    """Raises UsageError, naming the expected layout and where the data can be had, unless `root` holds something."""
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
    elif not any(root.iterdir()):
        problem = "is empty"
    else:
        return
    raise UsageError(f"raw folder {root} {problem}: expected {layout} (get it from {source}); name it with --raw")


def image_files(
    folder: pathlib.Path, *, root: pathlib.Path, recursive: bool = True
) -> tuple[list[pathlib.Path], list[Rejected]]:
    """The image files of a folder (`msda_tf.image_files.walk.files`), and what could not be looked at."""
    found, problems = walk.files(folder, recursive=recursive)
    return found, as_rejected(problems, root=root)


def as_rejected(problems: Iterable[walk.Problem], *, root: pathlib.Path) -> list[Rejected]:
    """What could not be looked at, in place of the frames that may be in it."""
    names = [(problem.path.relative_to(root).as_posix(), problem.reason) for problem in problems]
    return [Rejected(name, name, reason) for name, reason in dict.fromkeys(names)]


_TRAIN_IDS = "_labelTrainIds"


def without_train_ids(labels: list[pathlib.Path]) -> tuple[list[pathlib.Path], list[str]]:
    """Label files without those that the scripts of other projects made from them, and a notice if there were any.

    DAFormer's tools, which HRDA and MIC use too, put `00001_labelTrainIds.png` beside `00001.png`.
    """
    kept = [path for path in labels if not path.stem.endswith(_TRAIN_IDS)]
    left_out = len(labels) - len(kept)
    if not left_out:
        return labels, []
    files = "1 file" if left_out == 1 else f"{left_out} files"
    return kept, [f"left out {files} *{_TRAIN_IDS}.png beside the labels: another tool made them from these labels"]


def pair(
    images: Iterable[pathlib.Path],
    labels: Iterable[pathlib.Path],
    *,
    root: pathlib.Path,
    key_of_image: Callable[[pathlib.Path], str],
    key_of_label: Callable[[pathlib.Path], str],
) -> tuple[list[Frame], list[Rejected]]:
    """Joins images and labels whose keys agree.

    Returns:
      The frames in the order of `images`, and what was rejected: images or labels without partner, and files whose
      key is that of an earlier one.
    """
    rejected = []

    def by_key(paths, key_of):
        found = {}
        for path in paths:
            key = key_of(path)
            if key in found:
                name = path.relative_to(root).as_posix()
                rejected.append(Rejected(name, name, f"double: the same name as {found[key].relative_to(root)}"))
            else:
                found[key] = path
        return found

    images_by_key, labels_by_key = by_key(images, key_of_image), by_key(labels, key_of_label)
    alone = {_composed(key): path for key, path in labels_by_key.items() if key not in images_by_key}
    frames = []
    for key, image in images_by_key.items():
        name = image.relative_to(root).as_posix()
        if key in labels_by_key:
            frames.append(Frame(name, image, labels_by_key[key]))
        else:
            rejected.append(Rejected(name, name, f"image without label{_other_form(key, alone)}"))
    for key, label in labels_by_key.items():
        if key not in images_by_key:
            name = label.relative_to(root).as_posix()
            rejected.append(Rejected(name, name, "label without image"))
    return frames, rejected


def pair_by_stem(
    images: Iterable[pathlib.Path], label_folder: pathlib.Path, *, root: pathlib.Path
) -> tuple[list[Frame], list[Rejected], list[str]]:
    """Joins images and the files of a flat label folder that have the same name but for the ending.

    Returns:
      The frames, what was rejected (see `pair`) or could not be looked at, and notices of label files left out.
    """
    labels, unread = image_files(label_folder, root=root, recursive=False)
    labels, notices = without_train_ids(labels)

    def stem(path: pathlib.Path) -> str:
        return path.stem

    frames, rejected = pair(images, labels, root=root, key_of_image=stem, key_of_label=stem)
    return frames, [*unread, *rejected], notices


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _other_form(key: str, alone: dict[str, pathlib.Path]) -> str:
    """What to say if a label has the same name in other code points, as file systems of other computers write it."""
    label = alone.get(_composed(key))
    if label is None:
        return ""
    return (
        f": {label.name} looks the same, but writes an accent in another Unicode form (NFC or NFD): rename one, for "
        "example with convmv --nfc"
    )


def unlabelled(images: Iterable[pathlib.Path], *, root: pathlib.Path) -> tuple[list[Frame], list[Rejected]]:
    """Frames of images without labels; a second file of the same path but for its ending is rejected."""
    frames, rejected, seen = [], [], {}
    for path in images:
        name = path.relative_to(root).as_posix()
        key = path.with_suffix("").as_posix()
        if key in seen:
            rejected.append(Rejected(name, name, f"double: the same name as {seen[key]}"))
        else:
            seen[key] = name
            frames.append(Frame(name, path))
    return frames, rejected
