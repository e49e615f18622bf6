"""What the runs in a folder are and how far they have come, from their files alone: TensorFlow is not loaded."""

import os
import pathlib
from dataclasses import dataclass

from msda_tf import runs
from msda_tf.config.branches import MAX_MERGE, NetworkPlan
from msda_tf.errors import MsdaError, UsageError, reason
from msda_tf.evaluation import estimates, metrics
from msda_tf.evaluation.estimates import Estimates
from msda_tf.evaluation.metrics import Metrics
from msda_tf.runs import Run, beginning
from msda_tf.runs import directory as directory_module
from msda_tf.runs.made_from import MadeFrom
from msda_tf.training import checkpoint_files, log, progress


@dataclass(frozen=True)
class RunSummary:
    """One line of the list.

    Attributes:
      directory: of the run.
      state: "finished", "unfinished" or "damaged".
      damage: what is wrong with a damaged one.
      target, sources, layout, method: of its configuration.
      steps: of each network, all that it is trained for.
      done: network -> step of its newest checkpoint, from which training goes on.
      miou: fraction 0-1 over all classes, of several targets their average; None before the first evaluation, and
        where nobody has labelled the target.
      scored: what `miou` is the score of; without it, what was estimated.
    """

    directory: pathlib.Path
    state: str
    damage: str | None = None
    target: str = ""
    sources: tuple[str, ...] = ()
    layout: str = ""
    method: str = ""
    steps: int = 0
    done: dict[str, int] | None = None
    miou: float | None = None
    scored: str = ""


def find(folder: str | pathlib.Path) -> list[RunSummary]:
    """The runs in a folder and its sub-folders, by name; the folder may be a run itself.

    Raises:
      UsageError: there is no such folder.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: name the one that holds your run directories")
    return [summary(found.path) for found in directory_module.find(folder)]


def summary(directory: pathlib.Path) -> RunSummary:
    """One run. A checkpoint counts as whole if all its files are there: training also compares their checksums."""
    try:
        os.listdir(directory)
    except OSError as error:
        why = f"a link to {directory.readlink()}: is its disk mounted?" if directory.is_symlink() else reason(error)
        return RunSummary(directory, "damaged", damage=f"cannot be looked into: {why}")
    try:
        run = runs.read(directory)
    except MsdaError as error:
        return RunSummary(directory, "damaged", damage=str(error))
    done, wrong = {}, []
    for network in run.networks:
        done[network.name], damage = _newest(run, network)
        wrong += damage
    try:
        if not any(wrong):
            beginning.check_there(run)
        miou, scored = _evaluated(run) or _while_training(run) or _estimated(run) or (None, "")
    except MsdaError as error:
        miou, scored = None, ""
        wrong.append(str(error))
    config = run.config
    finished = all(step >= config.steps for step in done.values())
    return RunSummary(
        directory,
        "damaged" if wrong else "finished" if finished else "unfinished",
        damage="; ".join(wrong) or None,
        target=config.target,
        sources=config.sources,
        layout=config.layout,
        method=config.method,
        steps=config.steps,
        done=done,
        miou=miou,
        scored=scored,
    )


def _newest(run: Run, network: NetworkPlan) -> tuple[int, list[str]]:
    """Step of a network's newest checkpoint, 0 without one, and what is wrong with it."""
    try:
        found = checkpoint_files.folders(run.folder(network).checkpoints)
        saved = progress.noted(run.folder(network))
    except MsdaError as error:
        return 0, [str(error)]
    if not found:
        return 0, [f"{run.folder(network).checkpoints}: the checkpoint of step {saved} is gone"] if saved else []
    step, path = max(found.items())
    damage = checkpoint_files.damage(path, checksums=False)
    return step, [f"{path}: {damage}"] if damage else []


def _evaluated(run: Run) -> tuple[float, str] | None:
    """(mIoU, of what) from the last `msda-tf evaluate`."""
    path = run.paths.metrics
    if not path.is_file():
        return None
    scored = metrics.read_all(path)
    found = scored[0]
    branch = MAX_MERGE if MAX_MERGE in found.matrices else next(iter(found.matrices), None)
    if branch is None:
        return None
    made_from = MadeFrom.from_json(found.made_from)
    if run.config.targets == (found.target,):
        notes = [f"{branch}, {_scored_on(found)}"]
    else:
        own = [f"{each.target} ({_scored_on(each)})" for each in scored]
        notes = [f"{branch}, {'average of' if len(own) > 1 else 'on'} {' and '.join(own)}"]
    if len({each.run for each in made_from.networks}) > 1:
        notes.append("several runs merged")
    if any(each.step < run.config.steps for each in made_from.networks):
        notes.append(f"at step {min(each.step for each in made_from.networks)}")
    if any(each.selected_on_target_labels for each in made_from.networks):
        notes.append("selected on the target's labels")
    for teacher in sorted({each.teacher for each in made_from.networks} - {None}):
        notes.append("the teacher's weights" if teacher else "the student's weights")
    for height, width in sorted({each.window for each in made_from.networks} - {None}):
        notes.append(f"in windows of {width}x{height}")
    data = [MadeFrom.from_json(each.made_from).data for each in scored]
    if any(each is not None and not each.as_trained for each in data):
        notes.append("on other data than the run's")
    return metrics.average(scored, branch).miou_all, "; ".join(notes)


def _estimated(run: Run) -> tuple[None, str] | None:
    """No mIoU, but what the last `msda-tf evaluate` estimated without labels, in words: it is no figure to sort by."""
    path = run.paths.estimate
    if not path.is_file():
        return None
    found = estimates.read(path)
    branch = MAX_MERGE if MAX_MERGE in found.estimates else next(iter(found.estimates), None)
    if branch is None:
        return None
    own = found.estimates[branch]
    return (
        None,
        f"estimated {100 * own.miou:.1f} ± {100 * own.error:.1f} % without labels: {branch}, {_scored_on(found)}",
    )


def _scored_on(found: Metrics | Estimates) -> str:
    """As in "500 images of val at 2048x1024"."""
    size = f" at {found.resolution}" if found.resolution.sizes else ""
    return f"{found.images} images of {found.split}{size}"


def _while_training(run: Run) -> tuple[float, str] | None:
    """(mIoU, of what) from the last evaluation during training: of the network that has a Max Merge, if one has."""
    found = [entry for network in run.networks if (entry := _last_scores(run, network))]
    if not found:
        return None
    network, step, scores = next((entry for entry in found if MAX_MERGE in entry[2]), found[-1])
    branch = MAX_MERGE if MAX_MERGE in scores else next(iter(scores))
    return scores[branch], f"{branch} of network {network.name} while training, step {step}"


def _last_scores(run: Run, network: NetworkPlan) -> tuple[NetworkPlan, int, dict[str, float]] | None:
    """(network, step, branch -> mIoU) of the last line of the log that holds scores."""
    for row in reversed(log.read(run.folder(network).log)):
        scores = {name.removeprefix("miou/"): value for name, value in row.values.items() if name.startswith("miou/")}
        if scores and None not in scores.values():
            return network, row.step, scores
    return None
