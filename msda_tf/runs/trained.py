"""Trained networks of one or more run directories, ready to segment."""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from msda_tf import runs
from msda_tf.config import FIELDS
from msda_tf.config.branches import NetworkPlan, adapts, shown_name
from msda_tf.errors import UsageError
from msda_tf.evaluation import cross_source, palettes
from msda_tf.evaluation.cross_source import Cell
from msda_tf.inference import merge as merge_rules
from msda_tf.inference.members import Inference, Member
from msda_tf.inference.merge import CALIBRATED, RULES
from msda_tf.inference.networks import build_segmenter, member
from msda_tf.labels import ClassList
from msda_tf.methods import METHODS
from msda_tf.remote import cache
from msda_tf.runs import Run
from msda_tf.runs import cross_source as run_tables
from msda_tf.runs.cross_source import Cells
from msda_tf.runs.made_from import Checkpoint, MadeFrom, ScoredData, Weights
from msda_tf.training import checkpoint_files
from msda_tf.training.checkpoints import Checkpoints

_SELECTED = {"best": "on the target's labels", "unlabelled": "by its estimate, without the target's labels"}

# What a checkpoint holds beyond what segments.
_NOT_FOR_INFERENCE = r"\w+_optimizer|segmenter/\w+_module/discriminator_.+|self_training|pseudo_(shares|floor)|start"


@dataclass(frozen=True)
class Trained:
    """Networks with their weights.

    Attributes:
      runs: where they come from, in the order given.
      inference: runs them.
      training_sets: shown name of each branch -> what it was trained on, such as "gta5" or "gta5 + synthia".
      checkpoints: the weights of each network.
      run_of: the run that each network is from; networks are in the order of `inference.members`.
      cells: shown name of each branch -> source -> how it does on the source's held-out images
        (`msda_tf.evaluation.cross_source`); empty where that is not known.
      palette: in whose colours classes are shown, one of `msda_tf.evaluation.palettes.PALETTES`.
    """

    runs: tuple[Run, ...]
    inference: Inference
    training_sets: dict[str, str]
    checkpoints: tuple[Checkpoint, ...]
    run_of: tuple[Run, ...]
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    palette: str = palettes.OWN

    @property
    def classes(self) -> ClassList:
        """The classes of the label maps, in the colours of the palette."""
        return palettes.recoloured(self.runs[0].classes, self.palette)

    def in_colours(self, palette: str) -> "Trained":
        """The same networks, whose classes are shown in the colours of a palette.

        Raises:
          UsageError: see `msda_tf.evaluation.palettes.recoloured`.
        """
        palettes.recoloured(self.runs[0].classes, palette)
        return dataclasses.replace(self, palette=palette)

    def in_windows(self, window: tuple[int, int] | None) -> "Trained":
        """The same networks, which images pass in windows of (height, width); None leaves it to the runs' settings.

        Raises:
          UsageError: they are smaller than the setting may be.
        """
        if window is None:
            return self
        least = FIELDS["window"].metadata["minimum"]
        if min(window) < least:
            raise UsageError(
                f"windows of {window[1]}x{window[0]} pixels are too small: expected at least {least}x{least}"
            )
        return dataclasses.replace(self, inference=self.inference.with_members(window=window))

    @property
    def target(self) -> str:
        """The data set that the networks were adapted to; several are separated by commas."""
        return self.runs[0].config.target

    @property
    def targets(self) -> tuple[str, ...]:
        """Each of the data sets that the networks were adapted to."""
        return self.runs[0].config.targets

    def centred_on(self, target: str) -> "Trained":
        """The same networks, with the mean of one of their targets subtracted from images.

        Raises:
          UsageError: it is none of them.
        """
        if target not in self.targets:
            raise UsageError(
                f"{target!r} is none of the targets that the run was adapted to: {', '.join(self.targets)}"
            )
        members = [
            dataclasses.replace(each, mean=run.means[target])
            for each, run in zip(self.inference.members, self.run_of, strict=True)
        ]
        return dataclasses.replace(self, inference=dataclasses.replace(self.inference, members=members))

    def centred(self, mean_of: str | None) -> "Trained":
        """The same networks, with the mean of the target that was asked for subtracted from images.

        Args:
          mean_of: one of the targets; None is enough where all have the same mean.

        Raises:
          UsageError: it is none of them; or there are several means, and none was asked for.
        """
        if mean_of is None and any(len(set(run.means.values())) > 1 for run in self.run_of):
            raise UsageError(
                f"the run was adapted to {', '.join(self.targets)}, whose images differ in their mean: say whose is to "
                f"be subtracted, such as --mean-of {self.targets[0]}"
            )
        return self.centred_on(mean_of or self.targets[0])

    def made_from(self, data: ScoredData | None = None) -> MadeFrom:
        """The weights, how their maps are merged, and the data they were scored on, if they were."""
        return MadeFrom(
            merge=self.inference.rule,
            merge_at=self.inference.merge_at,
            merged=tuple(self.inference.merged),
            networks=tuple(
                Weights.of(checkpoint, window=member.window)
                for checkpoint, member in zip(self.checkpoints, self.inference.members, strict=True)
            ),
            data=data,
        )

    def shares(self) -> dict:
        """JSON-ready, beside what `made_from` gives: under "shares" temperature and class weights of merged branches.

        Nothing under a rule that has none.
        """
        inference = self.inference
        parts = merge_rules.shares_of(inference.rule, inference.calibrations, inference.merged)
        if parts is None:
            return {}
        named = zip(inference.merged, parts, strict=True)
        return {"shares": {n: {"temperature": p.temperature, "weights": p.weights.tolist()} for n, p in named}}

    def notes(self) -> list[str]:
        """What whoever sees results of these networks must know of their weights, a sentence each."""
        unfinished = [
            f"{cache.shown(c.network)}: step {c.step} of {c.steps}, training is not finished"
            for c in self.checkpoints
            if c.step < c.steps and c.selected == "last"
        ]
        who = [
            f"{cache.shown(c.network)}: weights of the {'teacher' if c.teacher else 'student'}"
            for c in self.checkpoints
            if c.teacher is not None
        ]
        windows = [
            f"{cache.shown(c.network)}: images pass in windows of {each.window[1]}x{each.window[0]} pixels of its input"
            for c, each in zip(self.checkpoints, self.inference.members, strict=True)
            if each.window
        ]
        of_crops = {
            cache.shown(run.directory): run.config.crop
            for run, each in zip(self.run_of, self.inference.members, strict=True)
            if run.config.crop and not each.window
        }
        windows += [
            f"{name}: trained on crops of {width}x{height} pixels, but images pass whole: --window {width}x{height} "
            "shows it what it knows, and may score higher"
            for name, (width, height) in of_crops.items()
        ]
        chosen = []
        for selected, words in _SELECTED.items():
            own = [f"{cache.shown(c.network)} (step {c.step})" for c in self.checkpoints if c.selected == selected]
            chosen += [f"checkpoint selected {words}: {', '.join(own)}"] if own else []
        return unfinished + who + windows + chosen


def load(
    directories: Sequence[str | pathlib.Path],
    *,
    merge: str | None = None,
    select: str | None = None,
    serve: str | None = None,
    branches: Sequence[str] | None = None,
    only_merged: bool = False,
    precision: str | None = None,
    calibrated: bool = False,
) -> Trained:
    """Loads every network of the runs.

    Branches are shown under their own names (S1, S2, ..., S-All), with the run's name behind where two runs have the
    same. S-All of a run without adaptation is shown as `NO_ADAPT`, its S1 as "No Adapt S1"; such branches take no part
    in the merge unless no run was adapted.

    Args:
      directories: run directories, at least one.
      merge: one of `msda_tf.inference.merge.RULES`; the runs' own by default.
      select: "last", "best" or "unlabelled" checkpoint; each run's own choice by default.
      serve: "teacher" or "student", for runs that have both; each run's own choice by default.
      branches: shown names of the branches to load and merge; all by default.
      only_merged: leave out branches that take no part in the merge.
      precision: arithmetic of the networks instead of the one they were trained in.
      calibrated: score branches on held-out images of the sources if that was not done yet and there are any; done in
        any case for a rule that goes by it.

    Raises:
      UsageError: a folder is no run or has no checkpoint, or the runs do not fit together.
      MsdaError: a run is damaged.
    """
    found = tuple(runs.read(directory) for directory in directories)
    _check_fit(found)
    if merge is None:
        merge = _agreed(found, "merge")
    elif merge not in RULES:
        raise UsageError(f"unknown merge rule {merge!r}: one of {', '.join(RULES)}")
    # The paper's order of columns: No Adapt comes first.
    ordered = sorted(found, key=lambda run: adapts(run.config))
    names = _shown_names(ordered)
    adapted = {run.directory for run in found if adapts(run.config)}
    merged = [shown for (run, _, _), shown in names.items() if run in adapted] or list(names.values())
    if branches is not None:
        unknown = [name for name in branches if name not in names.values()]
        if unknown or not branches:
            raise UsageError(f"no branch {', '.join(map(repr, unknown))}: there are {', '.join(names.values())}")
        merged = [name for name in names.values() if name in branches]
    members, training_sets, checkpoints, run_of, cells, calibrations = [], {}, [], [], {}, {}
    for run in ordered:
        row = {}
        for network in run.networks:
            own = {names[run.directory, network.name, branch]: branch for branch in network.branches}
            if branches is not None or only_merged:
                own = {shown: branch for shown, branch in own.items() if shown in merged}
            if own:
                loaded, checkpoint = _load_network(run, network, own, select=select, serve=serve, precision=precision)
                members.append(loaded)
                checkpoints.append(checkpoint)
                run_of.append(run)
                training_sets |= {shown: _training_sets(run, branch) for shown, branch in own.items()}
                row |= _cells(run, network, loaded, checkpoint, needed=calibrated or merge in CALIBRATED)
            elif run.config.held_out:
                # S-All's calibration goes by the others of its run.
                row |= _known_cells(run, network, select=select, serve=serve)
        shown_as = {branch: names[run.directory, net.name, branch] for net in run.networks for branch in net.branches}
        cells |= {shown_as[branch]: own for branch, own in row.items() if shown_as[branch] in training_sets}
        calibrations |= {shown_as[branch]: own for branch, own in cross_source.calibrations(row).items()}
    inference = Inference(
        members, rule=merge, merge_at=_agreed(found, "merge_at"), merged=merged, calibrations=calibrations
    )
    merge_rules.shares_of(merge, calibrations, inference.merged)  # refused before anything is computed
    return Trained(found, inference, training_sets, tuple(checkpoints), tuple(run_of), cells)


def _cells(run: Run, network: NetworkPlan, loaded: Member, checkpoint: Checkpoint, *, needed: bool) -> Cells:
    """The branches of a loaded network on held-out images, by their own names."""
    if not run.config.held_out:
        return {}
    student = checkpoint.teacher is False
    found = run_tables.read(run, network, checkpoint.sha256, student=student)
    if found is None and needed:
        found = run_tables.make(run, network, loaded.segmenter, checkpoint.step, student=student)
    return found or {}


def _known_cells(run: Run, network: NetworkPlan, *, select: str | None, serve: str | None) -> Cells:
    """Those of a network that is not loaded, as far as they are written down."""
    folder = run.folder(network).checkpoints
    step, _ = _chosen_step(run, Checkpoints(folder), select)
    path = None if step is None else checkpoint_files.folder(folder, step)
    if path is None:
        return {}
    student = _is_teacher(run, serve) is False
    return run_tables.read(run, network, checkpoint_files.checksum(path), student=student) or {}


def _is_teacher(run: Run, serve: str | None) -> bool | None:
    """Whether a run's teacher is asked for; None if it has none."""
    return (serve or run.config.serve) == "teacher" if METHODS[run.config.method].teacher else None


def _chosen_step(run: Run, checkpoints: Checkpoints, select: str | None) -> tuple[int | None, str]:
    """(step of the checkpoint to use, how it is chosen); None where there is none."""
    selected = select or run.config.select
    if selected == "last":
        return max(checkpoints.steps(), default=None), selected
    return (checkpoints.best() if selected == "best" else checkpoints.unlabelled()), selected


def _check_fit(found: tuple[Run, ...]) -> None:
    first = found[0]
    resolved = [run.directory.resolve() for run in found]
    for run in found[1:]:
        if resolved.count(run.directory.resolve()) > 1:
            raise UsageError(f"{run.directory} is given twice: name each run once")
        if set(run.config.targets) != set(first.config.targets):
            raise UsageError(
                f"{first.directory} was adapted to {first.config.target!r}, {run.directory} to {run.config.target!r}: "
                "only runs for the same target can be merged"
            )
        if run.classes != first.classes:
            raise UsageError(
                f"{first.directory} has {len(first.classes)} classes, {run.directory} {len(run.classes)}, or they are "
                "named or coloured differently: only runs with the same class list can be merged"
            )


def _agreed(found: tuple[Run, ...], key: str) -> str:
    """The runs' common value of a configuration key."""
    values = {getattr(run.config, key): run for run in found}
    if len(values) > 1:
        described = ", ".join(f"{run.directory} {value}" for value, run in values.items())
        raise UsageError(f"the runs differ in {key} ({described}): set it alike in their config.yaml, or use --merge")
    return next(iter(values))


def _shown_names(found: list[Run]) -> dict[tuple[pathlib.Path, str, str], str]:
    """(run directory, network, branch) -> shown name."""
    bare = {}
    for run in found:
        for network in run.networks:
            for branch in network.branches:
                bare[run.directory, network.name, branch] = shown_name(run.config, branch)
    counts = collections.Counter(bare.values())
    folders = collections.Counter(run.directory.resolve().name for run in found)
    shown = {}
    for (run, network, branch), name in bare.items():
        folder = run.resolve().name
        label = folder if folders[folder] == 1 else str(run)
        shown[run, network, branch] = name if counts[name] == 1 else f"{name} ({label})"
    return shown


def _training_sets(run: Run, branch: str) -> str:
    return run.source_names().get(branch) or " + ".join(run.config.sources)


def _load_network(
    run: Run,
    network: NetworkPlan,
    branches: dict[str, str],
    *,
    select: str | None,
    serve: str | None,
    precision: str | None,
) -> tuple[Member, Checkpoint]:
    folder = run.folder(network)
    checkpoints = Checkpoints(folder.checkpoints)
    step, selected = _chosen_step(run, checkpoints, select)
    if not checkpoints.steps():
        raise UsageError(
            f"{folder.path} has no checkpoint: the run was never trained that far; continue it with msda-tf train"
        )
    if step is None:
        without = "evaluation" if selected == "best" or run.config.held_out else "held-out images to estimate by"
        named = "best checkpoint" if selected == "best" else "checkpoint that was chosen without labels"
        raise UsageError(
            f"{folder.path} has no {named}, for it was trained without {without}: use the last one (select=last)"
        )
    step = None if selected == "last" else step  # of damaged ones, the one before it
    config = dataclasses.replace(run.config, precision=precision or run.config.precision)
    segmenter = build_segmenter(config, network, len(run.classes), discriminators=False)
    teacher = _is_teacher(run, serve)
    wanted, other = ("teacher", "segmenter") if teacher else ("segmenter", "teacher")
    left_over = re.compile(f"{_NOT_FOR_INFERENCE}|{other}")
    step, _ = checkpoints.restore({wanted: segmenter}, step=step, left_over=left_over)
    known_by = checkpoint_files.checksum(checkpoint_files.folder(folder.checkpoints, step))
    checkpoint = Checkpoint(folder.path, step, config.steps, selected, known_by, teacher)
    return member(config, segmenter, mean=run.mean_rgb, branches=branches), checkpoint
