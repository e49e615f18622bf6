"""Any data set that a YAML file describes (`description`): finding its frames and splits, and what reads its labels."""

import pathlib
from collections.abc import Iterable

from msda_tf.data.writing.notes import Rejected
from msda_tf.errors import UsageError
from msda_tf.files import sha256
from msda_tf.image_files import headers, walk

from ..files import listing
from ..labels import class_config, panoptic_labels
from ..labels.color_labels import ColorLabels
from ..labels.hinted_labels import HintedLabels
from ..labels.label_images import IdLabels
from ..labels.panoptic_labels import PanopticLabels
from ..labels.polygon_labels import PolygonLabels
from ..labels.red_labels import RedLabels
from . import description as descriptions
from .description import Description
from .frames import Frame, LabelReader, Part, RawDataset


def find(root: pathlib.Path, description: Description, *, kind: str = "custom") -> RawDataset:
    """Looks a raw folder through as described.

    Args:
      kind: the name by which `prepare` was asked for the data set.

    Raises:
      UsageError: it is missing or empty, holds none of the layouts or another release, or two splits share an image.
    """
    listing.require_folder(root, _expected(description), description.download)
    searches = {
        name: [_Search(root, split, part) for split, part in layout.items()]
        for name, layout in description.layouts.items()
    }
    layout = (
        max(searches, key=lambda name: _completeness(searches[name])) if len(searches) > 1 else next(iter(searches))
    )
    found: list[tuple[_Search, list]] = []
    rejected, notices = [], []
    for search in searches[layout]:
        if description.whole:
            search.require_every_pattern()
            search.labelled = bool(search.part.labels)
        elif not search.images:
            rejected += search.unread
            if not search.unread:
                _refuse_labels_alone(search, description)
            notices.append(f"split {search.split} is not there: no image below {root} matches {search.wanted_images}")
            continue
        elif search.part.labels and not search.labels:
            if not search.unread:
                _refuse_other_labels(search, description)
            notices.append(f"split {search.split} is stored without labels: nothing matches {search.wanted_labels}")
        frames, bad = search.frames()
        found.append((search, frames))
        rejected += bad
    if not found:
        if rejected:
            raise UsageError(f"{root / rejected[0].file}: {rejected[0].reason}")
        _refuse(root, description)
    _refuse_shared(found)
    parts, splits = _parts(found)
    labelled_splits = [search.split for search, _ in found if search.labelled]
    reader = _reader(description, root) if labelled_splits else None
    training, evaluation, more = _chosen_splits(description, [search.split for search, _ in found], labelled_splits)
    return RawDataset(
        kind=kind,
        root=root,
        classes=description.rules.classes,
        labels=reader,
        parts=tuple(parts),
        splits=splits,
        training_split=training,
        evaluation_split=evaluation,
        rules={
            "labels": description.encoding,
            "class_rules": description.rules.as_options(),
            "training_split": training,
            "evaluation_split": evaluation,
            **({} if description.whole else {"layout": layout}),
            **({"segments_sha256": sha256(root / description.segments)} if reader and description.segments else {}),
        },
        rejected=tuple(rejected),
        notices=(*notices, *more),
    )


class _Search:
    """What is found of a split.

    Attributes:
      labelled: whether its images are to have labels.
      unread: what could not be looked at.
    """

    def __init__(self, root: pathlib.Path, split: str, part: descriptions.Part):
        self.root, self.split, self.part = root, split, part
        images, labels = ([pattern.files(root) for _, pattern in patterns] for patterns in (part.images, part.labels))
        self.by_pattern, self.labels_by_pattern = ([found for found, _ in each] for each in (images, labels))
        problems = [problem for _, problems in (*images, *labels) for problem in problems]
        self.unread = listing.as_rejected(problems, root=root)
        self.labelled = self.labels

    @property
    def images(self) -> bool:
        """Whether there is any."""
        return any(self.by_pattern)

    @property
    def labels(self) -> bool:
        """Whether there is any."""
        return any(self.labels_by_pattern)

    @property
    def wanted_images(self) -> str:
        """The patterns, for messages."""
        return " or ".join(pattern.text for _, pattern in self.part.images)

    @property
    def wanted_labels(self) -> str:
        """The patterns, for messages."""
        return " or ".join(pattern.text for _, pattern in self.part.labels)

    def require_every_pattern(self) -> None:
        """Raises UsageError if one of the images' patterns matches nothing."""
        for (at, pattern), files in zip(self.part.images, self.by_pattern, strict=True):
            if not files and not self.unread:
                raise UsageError(f"{at.file}:{at.line}: {at.key}: no image below {self.root} matches {pattern.text}")

    def frames(self) -> tuple[list[tuple[Frame, str]], list[Rejected]]:
        """Frames, each with what its wildcards say of the part that it belongs to; and what was rejected."""
        stand_for = {}  # image -> what the wildcards of its pattern stand for, and the pattern's number
        for number, ((_, pattern), files) in enumerate(zip(self.part.images, self.by_pattern, strict=True)):
            for path in files:
                stand_for.setdefault(path, (pattern.match(path.relative_to(self.root).as_posix()), number))
        images = sorted(stand_for)
        if not self.labelled:
            found, rejected = listing.unlabelled(images, root=self.root)
        else:
            found, rejected = listing.pair(
                images,
                sorted({path for files in self.labels_by_pattern for path in files}),
                root=self.root,
                key_of_image=lambda path: self._label_of(*stand_for[path]),
                key_of_label=lambda path: path.relative_to(self.root).as_posix(),
            )
        values = {frame.image: stand_for[frame.image][0] for frame in found}
        by = self.part.split_by
        return [(frame, tuple(_word(values[frame.image][number]) for number in by)) for frame in found], [
            *self.unread,
            *rejected,
        ]

    def _label_of(self, values: tuple[str, ...], number: int) -> str:
        return self.part.labels[number][1].fill(values)

    def sizes_agree(self) -> bool:
        """Whether the first image is of its label's size; true where that cannot be told."""
        frame = next((frame for frame, _ in self.frames()[0]), None)
        if frame is None or frame.label is None:
            return True
        try:
            image, label = headers.read(frame.image), headers.read(frame.label)
        except headers.BadFrame:  # reported with all others when every frame is checked, or no image, as polygons
            return True
        return (image.height, image.width) == (label.height, label.width)


def _word(text: str) -> str:
    """As a part of a split's name, which consists of letters, digits and _."""
    return "".join(char if char.isalnum() else "_" for char in text)


def _completeness(searches: list[_Search]) -> tuple[int, int, bool]:
    """Splits with labels, splits with images, whether sizes agree: of two layouts, the one with more is meant."""
    return (
        sum(search.images and search.labels for search in searches),
        sum(search.images for search in searches),
        searches[0].sizes_agree(),
    )


def _expected(description: Description) -> str:
    """The layouts in one line."""
    layouts = list(description.layouts.values())
    if description.whole:
        return " and ".join(pattern.text for part in layouts[0].values() for _, pattern in part.images)
    return ", or ".join(next(iter(layout.values())).paths() for layout in layouts)


def _refuse(root: pathlib.Path, description: Description) -> None:
    """Raises UsageError: the folder holds none of the layouts."""
    _refuse_mistakes(root, description)
    for inside in sorted(path for path in root.iterdir() if path.is_dir()):
        searches = [
            _Search(inside, split, part) for layout in description.layouts.values() for split, part in layout.items()
        ]
        if any(search.images for search in searches):
            raise UsageError(
                f"{root} is not the folder of {description.name} itself, but {inside} is: name that with --raw"
            )
    raise UsageError(
        f"{root} holds no image of {description.name}: found {_shown(root.iterdir(), root)}, expected"
        f" {_expected(description)} (get it from {description.download})"
    )


def _refuse_mistakes(root: pathlib.Path, description: Description) -> None:
    for mistake in description.not_this:
        if files := mistake.pattern.files(root)[0]:
            raise UsageError(f"{files[0]} belongs to {mistake.found}, not to {description.name}: {mistake.instead}")


def _refuse_labels_alone(search: _Search, description: Description) -> None:
    if search.labels:
        number = sum(map(len, search.labels_by_pattern))
        raise UsageError(
            f"split {search.split} of {description.name} has {number} labels ({search.wanted_labels}) but no image:"
            f" {search.wanted_images} is expected beside them"
        )


def _refuse_other_labels(search: _Search, description: Description) -> None:
    """Raises UsageError if there are labels, but not those that are read."""
    _refuse_mistakes(search.root, description)
    for _, pattern in search.part.labels:
        folder = search.root / pattern.folder
        there = walk.files(folder, suffixes=(".png", ".json"))[0] if pattern.folder and folder.is_dir() else []
        if there:
            raise UsageError(
                f"{folder} holds {len(there)} files such as {there[0].relative_to(search.root)}, but none matches"
                f" {pattern.text}, the labels of split {search.split} of {description.name}"
            )


def _refuse_shared(found: list[tuple[_Search, list]]) -> None:
    split_of: dict[str, str] = {}
    for search, frames in found:
        for frame, _ in frames:
            if frame.name in split_of:
                search.part.images[0][0].fail(f"{frame.name} is in split {split_of[frame.name]} already")
            split_of[frame.name] = search.split


def _shown(paths: Iterable[pathlib.Path], root: pathlib.Path) -> str:
    names = sorted(f"{path.relative_to(root)}{'/' if path.is_dir() else ''}" for path in paths)
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _parts(found: list[tuple[_Search, list]]) -> tuple[list[Part], dict[str, tuple[str, ...]]]:
    """Frames in parts, and which parts each split consists of."""
    parts: list[Part] = []
    splits: dict[str, list[str]] = {}
    for search, frames in found:
        groups: dict[tuple[str, ...], list[Frame]] = {}
        for frame, values in frames:
            groups.setdefault(values, []).append(frame)
        splits[search.split] = []
        for values in sorted(groups) or [()]:
            name = "_".join((search.split, *values))
            parts.append(Part(name, tuple(groups.get(values, ())), labelled=search.labelled))
            for split in dict.fromkeys([search.split, *(f"{search.split}_{value}" for value in values)]):
                splits.setdefault(split, []).append(name)
    return parts, {split: tuple(members) for split, members in splits.items()}


def _chosen_splits(
    description: Description, splits: list[str], labelled: list[str]
) -> tuple[str, str | None, list[str]]:
    """Training split, evaluation split, and what to say about them."""
    training = description.training_split
    if training not in splits:
        training = "train" if "train" in splits else splits[0]
    likely = [name for name in (description.evaluation_split, "val", "test") if name in labelled]
    evaluation = next(iter([*likely, *labelled[-1:]]), None)
    if evaluation is None:
        return (
            training,
            None,
            ["no split has labels: the data set can be a target to train for, but not be evaluated on"],
        )
    if evaluation == training:
        return (
            training,
            evaluation,
            [f"there is no other labelled split: {training} is taken for training and evaluation"],
        )
    return training, evaluation, []


def _reader(description: Description, root: pathlib.Path) -> LabelReader:
    rules = description.rules
    if description.encoding == "rgb":
        reader = ColorLabels(rules.train_ids, rest_ignored=rules.rest_ignored)
    elif description.encoding == "polygons":
        reader = PolygonLabels(rules.train_ids, rules.rest_ignored)
    else:
        table = class_config.id_table(rules)
        reader = {
            "panoptic": lambda: PanopticLabels(table, panoptic_labels.read_segments(root / description.segments)),
            "palette": lambda: IdLabels(table, colors=("palette",)),
            "ids": lambda: IdLabels(table, colors=("grey",), bits=(8, 16)),
            "red": lambda: RedLabels(table),
        }[description.encoding]()
    hint = description.hint
    if not hint and description.whole:  # a file of the user's own
        hint = "neither map nor ignore of your description names them"
    return HintedLabels(reader, hint) if hint else reader
