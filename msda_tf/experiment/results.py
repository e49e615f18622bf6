"""The scores of a table's runs: mean and spread over seeds, beside the paper's figures."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msda_tf.config.branches import EQUATION_6, MAX_MERGE, NO_ADAPT, S_ALL
from msda_tf.config.deviations import described
from msda_tf.errors import MsdaError
from msda_tf.evaluation.estimates import Estimates
from msda_tf.evaluation.metrics import Metrics
from msda_tf.evaluation.protocol import Scores
from msda_tf.evaluation.resolution import Resolution
from msda_tf.evaluation.unlabelled import Estimate
from msda_tf.experiment import jobs, paper
from msda_tf.experiment.jobs import Job
from msda_tf.runs.made_from import MadeFrom

GAINS = (
    (MAX_MERGE, NO_ADAPT),
    (S_ALL, NO_ADAPT),
    (MAX_MERGE, S_ALL),
    (MAX_MERGE, EQUATION_6),
    ("Oracle", NO_ADAPT),
    ("Oracle", MAX_MERGE),
)
"""Pairs (column, column below it) whose difference a table shows."""

PAPER_RULE = "miou_all"
PRESENT_RULE = "miou_present"


@dataclass(frozen=True)
class Spread:
    """Values of several seeds.

    Attributes:
      mean: of them.
      std: sample standard deviation (divided by n - 1); None for a single seed.
      count: number of seeds.
    """

    mean: float
    std: float | None
    count: int


def spread(values: Sequence[float]) -> Spread | None:
    """Of the values; None if there are none."""
    if not values:
        return None
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


@dataclass(frozen=True)
class Row:
    """One target at one scale.

    Attributes:
      target, scale: of its runs.
      sources: data sets of S1, S2, ...
      names: of the columns that the row is to have, in the paper's order.
      images: number of images scored; 0 if nothing was.
      settings: of its runs: the preset, and what was changed of it.
      resolution: their sizes; empty if nothing was, or only by earlier versions.
      selected: whether checkpoints were chosen by their scores on the target's labels.
      columns: column -> seed -> scores.
      estimates: the same of a target without labels.
      estimated: whether it is one.
      paper: column -> the paper's figure, a fraction.
      paper_iou: column -> class -> the paper's figure, a fraction.
    """

    target: str
    scale: float
    sources: tuple[str, ...]
    names: tuple[str, ...]
    images: int
    settings: str
    resolution: Resolution
    selected: bool
    columns: Mapping[str, Mapping[int, Scores]]
    estimates: Mapping[str, Mapping[int, Estimate]]
    estimated: bool
    paper: Mapping[str, float]
    paper_iou: Mapping[str, Mapping[str, float]]

    def spread(self, column: str, rule: str = PAPER_RULE) -> Spread | None:
        """Of a column, under a rule for absent classes: `PAPER_RULE` or `PRESENT_RULE`."""
        values = [getattr(scores, rule) for scores in self.columns.get(column, {}).values()]
        return spread([value for value in values if value is not None])

    def estimate_spread(self, column: str) -> Spread | None:
        """Of a column's estimated mean IoU."""
        return spread([each.miou for each in self.estimates.get(column, {}).values()])

    def estimate_error(self, column: str) -> float | None:
        """Standard error of one such estimate, mean over seeds: a column's estimates may all be wrong by it."""
        found = spread([each.error for each in self.estimates.get(column, {}).values()])
        return found and found.mean

    def class_spread(self, column: str, name: str) -> Spread | None:
        """Of the IoU of one class; an absent class counts 0."""
        return spread([scores.iou[name] or 0.0 for scores in self.columns.get(column, {}).values()])

    def gain(self, column: str, below: str) -> Spread | None:
        """Of one column over another under the paper's rule, over the seeds that have both."""
        high, low = self.columns.get(column, {}), self.columns.get(below, {})
        return spread([high[seed].miou_all - low[seed].miou_all for seed in high if seed in low])

    def paper_gain(self, column: str, below: str) -> float | None:
        """The paper's."""
        if column in self.paper and below in self.paper:
            return self.paper[column] - self.paper[below]
        return None


def gather(found: Sequence[Job], grid: str | None = None) -> list[Row]:
    """The rows of a table, from the scores of the jobs that are finished; the paper's figures for its grid alone."""
    grouped: dict[tuple, list[Job]] = {}
    for job in found:
        grouped.setdefault((job.target, job.scale), []).append(job)
    return [_row(*key, group, grid) for key, group in grouped.items()]


def _row(target: str, scale: float, group: list[Job], grid: str | None) -> Row:
    columns, estimated, images, resolution, selected = {}, {}, 0, Resolution(), False
    for job in group:
        measured = _measured(job) if jobs.state(job).finished else None
        if measured is None:
            continue
        images, resolution = measured.images, measured.resolution
        chosen = MadeFrom.from_json(measured.made_from).networks
        selected = selected or any(weights.selected_on_target_labels for weights in chosen)
        for branch, column in job.columns.items():
            if isinstance(measured, Estimates):
                estimated.setdefault(column, {})[job.seed] = measured.estimates[branch]
            else:
                columns.setdefault(column, {})[job.seed] = measured.scores(branch)
    planned = dict.fromkeys(column for job in group for column in job.columns.values())
    names = tuple(sorted(planned, key=lambda name: name != NO_ADAPT))
    adapted = next(job.config for job in group if job.kind == "adapted")
    sources = adapted.sources
    figures = paper.figures(target, scale, sources) if grid == "paper" else {}
    classes = paper.class_figures(target, scale) if grid == "paper" else {}
    return Row(
        target,
        scale,
        sources,
        names,
        images,
        described(adapted),
        resolution,
        selected,
        {name: columns[name] for name in names if name in columns},
        {name: estimated[name] for name in names if name in estimated},
        any(job.estimated for job in group),
        paper=_fractions(figures),
        paper_iou={column: _fractions(values) for column, values in classes.items()},
    )


def _fractions(percent: Mapping[str, float]) -> dict[str, float]:
    return {name: value / 100 for name, value in percent.items()}


def to_json(rows: Sequence[Row], found: Sequence[Job], *, grid: str | None, failures: Mapping[str, str]) -> dict:
    """JSON-ready; all scores are fractions 0-1, differences too. `std` is null for a single seed."""
    return {
        "grid": grid,
        "rules": {
            "miou_19": "mean over all classes, an absent class counts 0 (the paper's rule)",
            "miou_present": "mean without classes that are neither in the labels nor predicted (Cityscapes' rule)",
        },
        "rows": [_row_json(row) for row in rows],
        "runs": [_run_json(job, failures.get(job.name)) for job in found],
    }


def _run_json(job: Job, failure: str | None) -> dict:
    """`made_from` says of which weights and data the scores in the rows are (see `msda_tf.runs.made_from`)."""
    state = jobs.state(job)
    value = {
        "name": job.name,
        "directory": str(job.directory),
        "state": f"failed: {failure}" if failure else str(state),
    }
    if state.finished and (measured := _measured(job)):
        value["made_from"] = measured.made_from
    return value


def _measured(job: Job) -> Metrics | Estimates | None:
    try:
        return job.scores()
    except MsdaError:  # removed this moment
        return None


def _row_json(row: Row) -> dict:
    columns = {}
    for name, seeds in row.columns.items():
        all_, present, figure = row.spread(name), row.spread(name, PRESENT_RULE), row.paper.get(name)
        columns[name] = {
            "miou_19": _spread_json(all_),
            "miou_present": _spread_json(present),
            "paper": figure,
            "paper_iou": row.paper_iou.get(name),
            "difference": None if figure is None else all_.mean - figure,
            "seeds": {
                str(seed): {"miou_19": scores.miou_all, "miou_present": scores.miou_present, "iou": scores.iou}
                for seed, scores in sorted(seeds.items())
            },
        }
    gains = {
        f"{high} - {low}": {**_spread_json(row.gain(high, low)), "paper": row.paper_gain(high, low)}
        for high, low in GAINS
        if row.gain(high, low) is not None
    }
    return {
        "target": row.target,
        "scale": row.scale,
        "sources": list(row.sources),
        "images": row.images,
        "settings": row.settings,
        "resolution": row.resolution.to_json(),
        "selected_on_target_labels": row.selected,
        "columns": columns,
        "gains": gains,
        **({"estimates": _estimates_json(row)} if row.estimated else {}),
    }


def _estimates_json(row: Row) -> dict:
    return {
        name: {
            "miou_19": _spread_json(row.estimate_spread(name)),
            "error": row.estimate_error(name),
            "seeds": {str(seed): dataclasses.asdict(each) for seed, each in sorted(seeds.items())},
        }
        for name, seeds in row.estimates.items()
    }


def _spread_json(value: Spread | None) -> dict | None:
    return None if value is None else {"mean": value.mean, "std": value.std, "seeds": value.count}
