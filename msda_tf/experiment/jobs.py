"""What a table needs: its runs, each in its own directory, and how far each has come.

OUTPUT/TARGET-SCALE/seedN/adapted        the networks of S1, S2 and S-All, of which Max Merge is made
OUTPUT/TARGET-SCALE/seedN/no-adapt       S-All without adversarial terms
OUTPUT/TARGET-SCALE/seedN/oracle         trained on the target's own labels (not in the grid paper)
OUTPUT/TARGET-SCALE/seedN/unit-sources   as adapted, on sources that UNIT restyled; S-All in unit-s-all, because the
OUTPUT/TARGET-SCALE/seedN/unit-s-all     paper's figure merges S1 and S2 alone
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msda_tf import config as configuration
from msda_tf import runs
from msda_tf.config import PAPER_DATASETS, TrainConfig, branches
from msda_tf.config.branches import EQUATION_6, MAX_MERGE, NO_ADAPT, S_ALL
from msda_tf.config.inputs import height_and_width
from msda_tf.data import manifest as manifests
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import estimates, metrics
from msda_tf.evaluation.estimates import Estimates
from msda_tf.evaluation.metrics import Metrics
from msda_tf.experiment import oracle
from msda_tf.methods import METHODS
from msda_tf.runs import datasets
from msda_tf.runs.directory import RunDirectory
from msda_tf.runs.made_from import MadeFrom, Weights
from msda_tf.training import checkpoint_files

GRIDS = {"paper": "paper", "miniature": "tiny"}
"""Grid -> the preset of its runs."""

SCALES = {"paper": (1.0, 0.5), "miniature": (1.0,)}
"""Grid -> the scales of its rows."""

TARGETS = ("cityscapes", "synthia", "gta5")
"""Of the grids."""

# What tells the runs of a table apart cannot be the same in all of them.
_GIVEN_BY_TABLE = ("target", "sources", "data", "scale", "seed", "adapt")
_GIVEN_BY_GRID = (*_GIVEN_BY_TABLE, "layout", "method")


@dataclass(frozen=True)
class Job:
    """One run of a table.

    Attributes:
      target, scale, seed: its row, and which repetition it is.
      kind: adapted, no-adapt, oracle, unit-sources or unit-s-all.
      directory: of the run.
      config: all its knobs.
      columns: name of a branch in the run's evaluation -> column of the table.
      scored_with: further runs that are merged with it when it is scored.
      estimated: whether the target has no labels to score it against.
    """

    target: str
    scale: float
    seed: int
    kind: str
    directory: pathlib.Path
    config: TrainConfig
    columns: dict[str, str]
    scored_with: tuple[pathlib.Path, ...] = ()
    estimated: bool = False

    @property
    def name(self) -> str:
        """How people see it."""
        return f"{self.target}, scale {self.scale:g}, seed {self.seed}: {self.kind}"

    @property
    def scores_path(self) -> pathlib.Path:
        """Where its scores, or estimates, lie."""
        paths = RunDirectory(self.directory)
        return paths.estimate if self.estimated else paths.metrics

    def scores(self) -> Metrics | Estimates:
        """What lies there; raises MsdaError if nothing does, or it is damaged."""
        return estimates.read(self.scores_path) if self.estimated else metrics.read(self.scores_path)


@dataclass(frozen=True)
class State:
    """How far a job is.

    Attributes:
      steps: that its networks have done, all together.
      of: that they are to do.
      scored: whether its scores are there, of these very weights and this very data set.
      outdated: what scores that are there are of instead, such as "other weights"; None if there are none, or right
        ones.
    """

    steps: int
    of: int
    scored: bool
    outdated: str | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.steps >= self.of and self.scored

    def __str__(self):
        if self.finished:
            return "finished"
        if self.steps >= self.of:
            return "trained, to be scored" + (f" again: its scores are of {self.outdated}" if self.outdated else "")
        return f"step {self.steps} of {self.of}" if self.steps else "to do"


def plan(
    grid: str,
    *,
    output: pathlib.Path,
    data: pathlib.Path,
    targets: Sequence[str] = TARGETS,
    scales: Sequence[float] = (),
    seeds: int = 1,
    settings: dict | None = None,
) -> list[Job]:
    """All runs of a grid; whole tables of one seed come before the next seed.

    Args:
      grid: one of `GRIDS`.
      output: folder of all runs.
      data: folder of the prepared data sets; restyled sources (`gta5_as_cityscapes`) in it add the UNIT columns.
      targets: rows of the table.
      scales: rows of the table; `SCALES` by default.
      seeds: number of repetitions, with seeds 0, 1, ...
      settings: knobs of all runs, over those of the grid's preset.

    Raises:
      UsageError: a setting is unknown, wrong, or one that the grid decides; a target is none of `TARGETS`.
    """
    settings = settings or {}
    _refuse(settings, _GIVEN_BY_GRID, "a grid")
    if unknown := [name for name in targets if name not in TARGETS]:
        raise UsageError(f"--target {unknown[0]}: the rows of --grid {grid} are {', '.join(TARGETS)}")
    rows = [(target, scale) for target in targets for scale in scales or SCALES[grid]]
    return [job for seed in range(seeds) for row in rows for job in _grid_row(grid, output, data, *row, seed, settings)]


def plan_own(
    sources: Sequence[str],
    *,
    output: pathlib.Path,
    data: pathlib.Path,
    targets: Sequence[str],
    preset: str = "paper",
    scales: Sequence[float] = (),
    seeds: int = 1,
    settings: dict | None = None,
) -> list[Job]:
    """All runs of a table of anyone's data sets: the columns of the grids for one source, two or more.

    An oracle is trained where the target has labelled training images. A target without labelled images gets estimates
    instead of scores.

    Args:
      sources: labelled data sets: of S1, S2, ...
      output, data, scales, seeds, settings: as for `plan`; the preset's scale by default.
      targets: rows of the table.
      preset: of all runs.

    Raises:
      UsageError: a setting is unknown, wrong, or one that the table decides; the runs would not adapt; a target is not
        prepared; or it has no labels, and nothing to estimate by.
    """
    settings = settings or {}
    _refuse(settings, _GIVEN_BY_TABLE, "a table")
    rows = [(target, scale) for target in targets for scale in scales or (None,)]
    return [
        job
        for seed in range(seeds)
        for target, scale in rows
        for job in _own_row(list(sources), output, data, target, scale, seed, preset, settings)
    ]


def _refuse(settings: dict, decided: Sequence[str], by: str) -> None:
    for key in settings:
        if key in decided:
            raise UsageError(f"--set {key}=...: {by} decides {key} itself; see --target, --scale, --seeds and --data")


@dataclass(frozen=True)
class _Row:
    """Makes the jobs of one target, scale and seed.

    Attributes:
      values: the settings that all of them share; the scale is the preset's if it is not among them.
      output: the folder of all runs.
      preset: of all of them.
      estimated: whether the target has no labels.
    """

    values: dict
    output: pathlib.Path
    preset: str
    estimated: bool = False

    def job(self, kind: str, columns: dict[str, str], *, scored_with=(), **own) -> Job:
        """Of a kind, with settings of its own."""
        # A setting for the adversary is one for those runs that have any.
        config, _ = configuration.resolve(preset=self.preset, settings={**self.values, **own}, refuse_unread=False)
        configuration.validate(config)
        target, seed = self.values["target"], self.values["seed"]
        folder = self.output / f"{target}-{config.scale:g}" / f"seed{seed}"
        return Job(target, config.scale, seed, kind, folder / kind, config, columns, tuple(scored_with), self.estimated)

    def adapted(self, **own) -> Job:
        """The run of the branches and their merge."""
        job = self.job("adapted", {}, **own)
        names = [branch for network in branches.plan(job.config) for branch in network.branches]
        if len(names) > 1:
            names += [MAX_MERGE] if job.config.merge == "max-logit" else [MAX_MERGE, EQUATION_6]
        return dataclasses.replace(job, columns={name: name for name in names})

    def no_adapt(self) -> Job:
        """S-All without adaptation."""
        return self.job("no-adapt", {NO_ADAPT: NO_ADAPT}, **_NOT_ADAPTED)

    def oracle(self) -> Job:
        """S-All on the target's own labels."""
        own = {"data": str(self.output / oracle.FOLDER), "sources": [oracle.labelled_name(self.values["target"])]}
        return self.job("oracle", {NO_ADAPT: "Oracle"}, **_NOT_ADAPTED, **own)


_NOT_ADAPTED = {"layout": "s-all", "method": "supervised"}


def _grid_row(grid, output, data, target, scale, seed, settings) -> list[Job]:
    sources = [name for name in PAPER_DATASETS if name != target]
    # The paper trains on every image of its sources, and merges by the highest logit.
    values = {"held_out": 0, "merge": "max-logit", **settings, "target": target, "sources": sources, "data": str(data)}
    row = _Row({**values, "scale": scale, "seed": seed}, output, GRIDS[grid])
    found = [row.adapted(layout="separate"), row.no_adapt()]
    if grid == "miniature":
        found.append(row.oracle())
    restyled = [f"{source}_as_{target}" for source in sources]
    if set(restyled) <= set(manifests.available(data)):
        columns = {"S1": "UNIT S1", "S2": "UNIT S2", MAX_MERGE: "UNIT S1+S2"}
        found.append(row.job("unit-sources", columns, layout="sources", sources=restyled))
        columns = {S_ALL: "UNIT S-All", MAX_MERGE: "UNIT Max Merge"}
        first = found[-1].directory
        found.append(row.job("unit-s-all", columns, layout="s-all", sources=restyled, scored_with=[first]))
    return found


def _own_row(sources, output, data, target, scale, seed, preset, settings) -> list[Job]:
    manifest = manifests.find(data, target)
    estimated = manifest.evaluation_split is None
    values = {**settings, "target": target, "sources": sources, "data": str(data), "seed": seed}
    row = _Row(values if scale is None else {**values, "scale": scale}, output, preset, estimated)
    found = [row.adapted(), row.no_adapt()]
    config = found[0].config
    if not branches.adapts(config):
        raise UsageError(f"method {config.method} does not adapt, and No Adapt has a column: --set method=adversarial")
    if estimated and not config.held_out:
        raise UsageError(
            f"{target!r} has no labelled images to score against, and held_out is 0, without which nothing can be "
            "estimated: --set held_out=40, or prepare labelled images of it"
        )
    return [*found, row.oracle()] if not estimated and oracle.possible(manifest) else found


def state(job: Job) -> State:
    """How far a job is, from its files alone."""
    networks = branches.plan(job.config)
    of = job.config.steps * len(networks)
    if not runs.exists(job.directory):
        return State(0, of, False)
    done = 0
    for network in networks:
        steps = checkpoint_files.steps(RunDirectory(job.directory).network(network.name).checkpoints)
        done += min(steps[-1], job.config.steps) if steps else 0
    try:
        found = job.scores()
        made_from = MadeFrom.from_json(found.made_from)
        manifest = manifests.find(job.config.data, job.target)
    except MsdaError:
        return State(done, of, False)
    outdated = _outdated(job, found, made_from, manifest)
    return State(done, of, outdated is None, outdated)


def _outdated(job: Job, found: Metrics | Estimates, made_from: MadeFrom, manifest: Manifest) -> str | None:
    """What scores are of if not of this job's last weights on the whole test split; None if they are."""
    scored = made_from.networks
    directories = {directory.name: directory for directory in (job.directory, *job.scored_with)}
    best = job.config.select == "best"
    split = manifest.splits.get(found.split)
    if {each.run for each in scored} != set(directories):
        return "other runs"
    serves = job.config.serve == "teacher" if METHODS[job.config.method].teacher else None
    if any(each.teacher != serves for each in scored if each.run == job.directory.name):
        return "the other weights of teacher and student"
    window = height_and_width(job.config.window)
    if any(each.window != window for each in scored if each.run == job.directory.name):
        return "images in other windows"
    chosen = best or job.config.select == "unlabelled"
    if any(each.selected_on_target_labels != best or not _is_there(each, directories) for each in scored):
        return "other weights"
    if not all(chosen or each.step == job.config.steps for each in scored):
        return "another step"
    if made_from.data is not None and made_from.data.dataset_sha256 != datasets.checksum(manifest):
        return "another data set"
    if split is None or found.images != split.examples:
        return "other images"
    names = found.estimates if isinstance(found, Estimates) else found.matrices
    if made_from.merge != job.config.merge or not set(job.columns) <= set(names):
        return "another merge"
    return None


def _is_there(scored: Weights, directories: dict[str, pathlib.Path]) -> bool:
    """Whether a checkpoint is still the one that was scored; in results of earlier versions only its step is known."""
    if scored.checkpoint_sha256 is None:
        return True
    folder = RunDirectory(directories[scored.run]).network(scored.network.rpartition("/")[2])
    path = checkpoint_files.folder(folder.checkpoints, scored.step)
    try:
        return checkpoint_files.checksum(path) == scored.checkpoint_sha256
    except OSError:
        return False


def check(found: Iterable[Job]) -> None:
    """Refuses to go on with runs that were begun with other settings.

    Raises:
      UsageError: names the run and every key that differs.
    """
    for job in found:
        if runs.exists(job.directory):
            runs.check_same(runs.read(job.directory), job.config, {})
