"""What the runs in a folder are and how far they have come, from their files alone: TensorFlow is not loaded."""

import json
import pathlib
from dataclasses import dataclass

from msda_tf import runs
from msda_tf.config.branches import MAX_MERGE, NetworkPlan, adapts
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import metrics
from msda_tf.runs import Run
from msda_tf.training import checkpoint_files


@dataclass(frozen=True)
class RunSummary:
    """One line of the list.

    Attributes:
      directory: of the run.
      state: "finished", "unfinished" or "damaged".
      damage: what is wrong with a damaged one.
      target, sources, layout, adapt: of its configuration.
      steps: of each network, all that it is trained for.
      done: network -> step of its newest checkpoint, from which training goes on.
      miou: fraction 0-1 over all classes; None before the first evaluation.
      scored: what `miou` is the score of.
    """

    directory: pathlib.Path
    state: str
    damage: str | None = None
    target: str = ""
    sources: tuple[str, ...] = ()
    layout: str = ""
    adapt: bool = True
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
    return [summary(path.parent) for path in sorted(folder.rglob("run.json"))]


def summary(directory: pathlib.Path) -> RunSummary:
    """One run. A checkpoint counts as whole if all its files are there: training also compares their checksums."""
    try:
        run = runs.read(directory)
    except MsdaError as error:
        return RunSummary(directory, "damaged", damage=str(error))
    done, wrong = {}, []
    for network in run.networks:
        folder = run.network_directory(network) / "checkpoints"
        steps = checkpoint_files.steps(folder)
        done[network.name] = steps[-1] if steps else 0
        if steps and (damage := checkpoint_files.damage(path := folder / f"step-{steps[-1]:08d}", checksums=False)):
            wrong.append(f"{path}: {damage}")
    try:
        miou, scored = _evaluated(run) or _while_training(run) or (None, "")
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
        adapt=adapts(config),
        steps=config.steps,
        done=done,
        miou=miou,
        scored=scored,
    )


def _evaluated(run: Run) -> tuple[float, str] | None:
    """(mIoU, of what) from the last `msda-tf evaluate`."""
    path = run.directory / metrics.FILE_NAME
    if not path.is_file():
        return None
    found = metrics.read(path)
    branch = MAX_MERGE if MAX_MERGE in found.matrices else next(iter(found.matrices), None)
    if branch is None:
        return None
    networks = found.made_from.get("networks", [])
    notes = [f"{branch}, {found.images} images of {found.split}"]
    if len({entry["network"].split("/")[0] for entry in networks}) > 1:
        notes.append("several runs merged")
    if any(entry["step"] < run.config.steps for entry in networks):
        notes.append(f"at step {min(entry['step'] for entry in networks)}")
    if any(entry["selected_on_target_labels"] for entry in networks):
        notes.append("selected on the target's labels")
    return found.scores(branch).miou_all, "; ".join(notes)


def _while_training(run: Run) -> tuple[float, str] | None:
    """(mIoU, of what) from the last evaluation during training: of the network that has a Max Merge, if one has."""
    found = [entry for network in run.networks if (entry := _last_scores(run, network))]
    if not found:
        return None
    network, step, scores = next((entry for entry in found if MAX_MERGE in entry[2]), found[-1])
    branch = MAX_MERGE if MAX_MERGE in scores else next(iter(scores))
    return scores[branch], f"{branch} of network {network.name} while training, step {step}"


def _last_scores(run: Run, network: NetworkPlan) -> tuple[NetworkPlan, int, dict[str, float]] | None:
    """(network, step, branch -> mIoU) of the last line of metrics.jsonl that holds scores."""
    path = run.network_directory(network) / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the half line of a killed process
        scores = {name.removeprefix("miou/"): value for name, value in row.items() if name.startswith("miou/")}
        if scores:
            return network, row["step"], scores
    return None
