"""From what was gathered to the page."""

import datetime
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2
import numpy as np
import yaml
from markupsafe import Markup

from msda_tf import __version__, config, evaluate
from msda_tf.evaluate import Evaluation
from msda_tf.evaluation import protocol
from msda_tf.evaluation.protocol import Scores
from msda_tf.inference import MAX_MERGE
from msda_tf.labels import CITYSCAPES_CLASSES, PROTOCOLS
from msda_tf.report import charts, curves, encode
from msda_tf.report.curves import Curve
from msda_tf.report.gallery import Gallery, pair
from msda_tf.trained import NO_ADAPT

_FIXED_COLORS = {NO_ADAPT: "--none", "S1": "--s1", "S2": "--s2", "S-All": "--pooled", MAX_MERGE: "--merged"}
_MORE_COLORS = ("--m1", "--m2", "--m3", "--m4", "--m5", "--m6")


def render(evaluation: Evaluation, found: Sequence[Curve], gallery: Gallery) -> str:
    """The page as HTML text.

    Args:
      evaluation: of `msda_tf.evaluate.evaluate`.
      found: of `curves.read`.
      gallery: that saw every image of the evaluation.
    """
    columns = [n for n in evaluation.metrics.matrices if n not in evaluation.rules or n == MAX_MERGE]
    scores = {name: protocol.score(evaluation.metrics.matrices[name], evaluation.trained.classes) for name in columns}
    colors = branch_colors(columns)
    better, than = pair(columns)
    shots = [*gallery.improved, *gallery.damaged]
    pictures = encode.encode(shots, evaluation.trained.classes, better=better, than=than)
    return _template().render(
        evaluation=evaluation,
        metrics=evaluation.metrics,
        classes=evaluation.trained.classes,
        columns=columns,
        colors=colors,
        better=better,
        than=than,
        headline=_headline(scores, better),
        means=_means(evaluation, scores, better),
        iou=_class_rows(evaluation, scores, better, than),
        heat_maps=_heat_maps(evaluation, columns),
        first_heat=columns.index(better),
        charts=_charts(found, colors),
        chart_colors=chart_colors(found, colors),
        groups=_groups(pictures, len(gallery.improved), than),
        layers=encode.layer_names(shots[0], bool(than)) if shots else [],
        merged=[line for line in evaluate.legend(evaluation) if line.startswith(MAX_MERGE)],
        notes=evaluation.trained.notes(),
        runs=[_run(run) for run in evaluation.trained.runs],
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        style=_part("style.css"),
        script=_part("script.js"),
    )


def branch_colors(columns: Sequence[str]) -> dict[str, str]:
    """A CSS colour for each column: always the same for the paper's, different ones for all up to six others."""
    others = [name for name in columns if name not in _FIXED_COLORS]
    more = {name: _MORE_COLORS[index % len(_MORE_COLORS)] for index, name in enumerate(others)}
    return {name: f"var({_FIXED_COLORS.get(name) or more[name]})" for name in columns}


def chart_colors(found: Sequence[Curve], colors: dict[str, str]) -> dict[str, str]:
    """Colours of all lines: a network's own merge has that of Max Merge."""
    return {curve.branch: colors.get(curve.branch, "var(--merged)") for curve in found}


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.2f}"
    environment.filters["points"] = _signed
    environment.filters["sign"] = lambda value: {"+": "up", "−": "down"}.get(_signed(value)[0], "")
    return environment.from_string(str(_part("report.html")))


def _signed(value: float | None) -> str:
    """A difference of fractions in points."""
    if value is None:
        return "–"
    text = f"{100 * value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def _part(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath("template", name).read_text(encoding="utf-8"))


def _headline(scores: dict[str, Scores], better: str) -> str:
    own = scores[better].miou_all
    parts = [f"{better} reaches {100 * own:.2f} % mean IoU"]
    compared = [f"{_points(own - each)} {_relation(own - each)} {name}" for name, each in _others(scores, better)]
    if compared:
        parts.append(", ".join(compared))
    best = max(scores, key=lambda name: scores[name].miou_all)
    if round(scores[best].miou_all, 4) > round(own, 4):
        parts.append(f"the best column is {best} with {100 * scores[best].miou_all:.2f} %")
    return "; ".join(parts) + "."


def _others(scores, better):
    return [(n, scores[n].miou_all) for n in (NO_ADAPT, "S-All") if n in scores and n != better]


def _points(difference: float) -> str:
    return f"{abs(100 * difference):.2f} points"


def _relation(difference: float) -> str:
    return "over" if difference >= 0 else "under"


@dataclass(frozen=True)
class Means:
    """The table of means: a row for each branch.

    Attributes:
      rules: name and explanation of each mean.
      bases: columns that are subtracted from the first mean.
      rows: (branch, its trained sets, (value, whether best) of each rule, difference to each base).
    """

    rules: list[tuple[str, str]]
    bases: list[str]
    rows: list[tuple]


def _means(evaluation: Evaluation, scores: dict[str, Scores], better: str) -> Means:
    classes, matrices = evaluation.trained.classes, evaluation.metrics.matrices
    rules = [
        (f"all {len(classes)}", "all classes, an absent one counts 0: the paper's rule"),
        ("present", "without classes that are neither in the labels nor predicted: Cityscapes' rule"),
    ]
    values = [[each.miou_all for each in scores.values()], [each.miou_present for each in scores.values()]]
    if classes.names == CITYSCAPES_CLASSES.names:
        for count, why in (("16", "the classes that SYNTHIA has"), ("13", "those that AdaptSegNet scores for SYNTHIA")):
            rules.append((count, f"{why}, an absent one counts 0"))
            values.append([protocol.score(matrices[name], classes, PROTOCOLS[count]).miou_all for name in scores])
    cells = zip(*(list(zip(each, _best(each), strict=True)) for each in values), strict=True)
    bases = _others(scores, better)
    rows = []
    for (name, own), row in zip(scores.items(), cells, strict=True):
        differences = [None if base == name else own.miou_all - value for base, value in bases]
        rows.append((name, evaluation.trained.training_sets.get(name, ""), row, differences))
    return Means(rules, [name for name, _ in bases], rows)


def _best(values: list[float | None]) -> list[bool]:
    """Whether each value is the highest as printed; none is where all are equal."""
    printed = [None if value is None else round(100 * value, 2) for value in values]
    known = {value for value in printed if value is not None}
    return [len(known) > 1 and value == max(known) for value in printed]


def _class_rows(evaluation: Evaluation, scores: dict[str, Scores], better: str, than: str | None) -> list[dict]:
    matrix = evaluation.metrics.matrices[better]
    pixels = matrix.sum(axis=1)
    rows = []
    for index, name in enumerate(evaluation.trained.classes.names):
        values = [each.iou[name] for each in scores.values()]
        new, old = scores[better].iou[name], scores[than].iou[name] if than else None
        rows.append(
            {
                "name": name,
                "color": "#{:02x}{:02x}{:02x}".format(*evaluation.trained.classes.colors[index]),
                "share": pixels[index] / max(pixels.sum(), 1),
                "cells": list(zip(values, _best(values), strict=True)),
                "difference": None if new is None or old is None else new - old,
            }
        )
    return rows


def _heat_maps(evaluation: Evaluation, columns: Sequence[str]) -> list[dict]:
    names = evaluation.trained.classes.names
    found = []
    for column in columns:
        matrix = evaluation.metrics.matrices[column]
        chart = charts.heat_map(matrix, names, title=f"Confusion matrix of {column}")
        found.append({"name": column, "chart": chart, "confusions": confusions(matrix, names)})
    return found


def confusions(matrix: np.ndarray, names: Sequence[str], count: int = 6) -> list[tuple[str, str, float]]:
    """The largest (true class, predicted class, share of the true class's pixels), of classes with 0.1 % of all pixels.

    Args:
      matrix: int64 `[C, C + 1]`.
      names: C class names.
      count: at most so many.
    """
    pixels = matrix.sum(axis=1)
    shares = matrix[:, : len(names)] / np.maximum(pixels, 1)[:, None]
    np.fill_diagonal(shares, 0)
    shares[pixels < 0.001 * pixels.sum()] = 0
    order = np.argsort(-shares, axis=None, kind="stable")[:count]
    pairs = [np.unravel_index(index, shares.shape) for index in order]
    return [(names[row], names[column], float(shares[row, column])) for row, column in pairs if shares[row, column]]


def _charts(found: Sequence[Curve], colors: dict[str, str]) -> list[dict]:
    colors = chart_colors(found, colors)
    shown = []
    for kind, title in curves.KINDS.items():
        lines = [
            charts.Line(
                label=" ".join(filter(None, (curve.branch, curve.level))),
                color=colors[curve.branch],
                dashed=curve.level == "feature",
                steps=curve.steps,
                values=curve.values,
            )
            for curve in found
            if curve.kind == kind
        ]
        if lines:
            percent = kind in ("miou", "disc_accuracy")
            shown.append(
                {"title": title, "percent": percent, "chart": charts.line_chart(lines, title=title, percent=percent)}
            )
    return shown


def _groups(pictures, improved: int, than: str | None) -> list[dict]:
    titles = ("Most improved", "Most damaged") if than else ("Best", "Worst")
    groups = zip(titles, (pictures[:improved], pictures[improved:]), strict=True)
    return [{"title": title, "pictures": own} for title, own in groups]


def _run(run) -> dict:
    provenance = run.info.get("provenance", {})
    return {
        "directory": str(run.directory),
        "sources": " + ".join(run.config.sources),
        "steps": run.config.steps,
        "adapt": run.config.adapt,
        "layout": run.config.layout,
        "started": provenance.get("started", "unknown"),
        "packages": ", ".join(f"{name} {version}" for name, version in provenance.get("packages", {}).items()),
        "settings": yaml.safe_dump(config.to_dict(run.config), sort_keys=False),
    }
