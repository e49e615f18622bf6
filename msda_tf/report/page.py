"""From what was gathered to the page."""

import datetime
import functools
from collections.abc import Sequence
from importlib import resources

import jinja2
import yaml
from markupsafe import Markup

from msda_tf import __version__, config, evaluate
from msda_tf.config.branches import MAX_MERGE, NO_ADAPT, S_ALL, adapts
from msda_tf.evaluate import Evaluation
from msda_tf.evaluation import cross_source_table, protocol
from msda_tf.evaluation.metrics import Metrics
from msda_tf.report import charts, curves, encode, tables, taught
from msda_tf.report.curves import Curve
from msda_tf.report.gallery import Gallery, pair
from msda_tf.runs.made_from import MadeFrom
from msda_tf.runs.trained import Trained

_FIXED_COLORS = {NO_ADAPT: "--none", "S1": "--s1", "S2": "--s2", S_ALL: "--pooled", MAX_MERGE: "--merged"}
_MORE_COLORS = ("--m1", "--m2", "--m3", "--m4", "--m5", "--m6")


def render(evaluation: Evaluation, found: Sequence[Curve], gallery: Gallery) -> str:
    """The page as HTML text.

    Args:
      evaluation: of `msda_tf.evaluate.evaluate`.
      found: of `curves.read`.
      gallery: that saw every image of the evaluation.
    """
    columns = evaluation.columns
    colors = branch_colors(columns)
    better, than = pair(columns)
    shots = [*gallery.improved, *gallery.damaged]
    pictures = encode.encode(shots, evaluation.trained.classes, better=better, than=than)
    targets = [_target(evaluation, metrics, better, than) for metrics in evaluation.scored]
    heat_maps = [each for metrics in evaluation.scored for each in _heat_maps(evaluation, metrics)]
    return _template().render(
        evaluation=evaluation,
        target=", ".join(metrics.target for metrics in evaluation.scored),
        targets=targets,
        averages=tables.averages(evaluation) if len(targets) > 1 else [],
        classes=evaluation.trained.classes,
        columns=columns,
        colors=colors,
        better=better,
        than=than,
        headline=_headline(evaluation, better),
        sources=_sources(evaluation.trained),
        heat_maps=heat_maps,
        first_heat=columns.index(better),
        charts=_charts(found, colors),
        taught=taught.read(evaluation.trained),
        chart_colors=chart_colors(found, colors),
        groups=_groups(pictures, len(gallery.improved), than),
        layers=encode.layer_names(shots[0], bool(than)) if shots else [],
        merged=[line for line in evaluate.legend(evaluation) if line.startswith(MAX_MERGE)],
        notes=(*evaluation.notes, *curves.warnings(evaluation.trained)),
        made_from=MadeFrom.from_json(evaluation.metrics.made_from),
        data=[MadeFrom.from_json(metrics.made_from).data for metrics in evaluation.scored],
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


def _sources(networks: Trained) -> dict:
    """The cross-source table; without rows where nothing was held out."""
    calibrations = {
        name: networks.inference.calibrations[name]
        for name in networks.cells
        if name in networks.inference.calibrations
    }
    return {
        "title": cross_source_table.TITLE,
        "header": cross_source_table.HEADER,
        "rows": cross_source_table.rows(networks.cells),
        "notes": [*cross_source_table.NOTES, *cross_source_table.notes(calibrations)],
    }


def _target(evaluation: Evaluation, metrics: Metrics, better: str, than: str | None) -> dict:
    """What the page shows of the scores on one target."""
    matrices = {name: metrics.matrices[name] for name in evaluation.columns}
    scores = {name: protocol.score(matrix, evaluation.trained.classes) for name, matrix in matrices.items()}
    return {
        "metrics": metrics,
        "suffix": f" on {metrics.target}" if len(evaluation.scored) > 1 else "",
        "means": tables.means(evaluation, matrices, scores, better),
        "iou": tables.class_rows(evaluation, matrices[better], scores, better, than),
    }


def _headline(evaluation: Evaluation, better: str) -> str:
    """The result in a sentence, for each target."""
    found = []
    for metrics in evaluation.scored:
        scores = {name: metrics.scores(name) for name in evaluation.columns}
        of = f"On {metrics.target}: " if len(evaluation.scored) > 1 else ""
        found.append(f"{of}{tables.headline(scores, better)}")
    return " ".join(found)


def _heat_maps(evaluation: Evaluation, metrics: Metrics) -> list[dict]:
    names = evaluation.trained.classes.names
    found = []
    for column in evaluation.columns:
        name = f"{column} on {metrics.target}" if len(evaluation.scored) > 1 else column
        matrix = metrics.matrices[column]
        chart = charts.heat_map(matrix, names, title=f"Confusion matrix of {name}")
        found.append({"name": name, "chart": chart, "confusions": tables.confusions(matrix, names)})
    return found


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
            percent = kind in ("miou", "estimate", "disc_accuracy")
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
        "adapt": adapts(run.config),
        "layout": run.config.layout,
        "started": provenance.get("started", "unknown"),
        "packages": ", ".join(f"{name} {version}" for name, version in provenance.get("packages", {}).items()),
        "settings": yaml.safe_dump(config.to_dict(run.config), sort_keys=False),
    }
