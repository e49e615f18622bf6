"""From what was gathered to the page."""

import datetime
import functools
from collections.abc import Sequence
from importlib import resources

import jinja2
import yaml
from markupsafe import Markup

from msda_tf import __version__, config, estimate, evaluate
from msda_tf.config.branches import EQUATION_6, MAX_MERGE, NO_ADAPT, S_ALL, adapts
from msda_tf.estimate import Estimation
from msda_tf.evaluate import Evaluation
from msda_tf.evaluation import cross_source_table, protocol
from msda_tf.evaluation.metrics import Metrics
from msda_tf.remote import cache
from msda_tf.report import charts, curves, encode, tables, taught
from msda_tf.report.curves import Curve
from msda_tf.report.disputed import Disputed
from msda_tf.report.gallery import Gallery, pair
from msda_tf.runs import Run
from msda_tf.runs.made_from import MadeFrom
from msda_tf.runs.trained import Trained

_GALLERY_NOTE = (
    "The figures below an image are its own mean IoU in percent, over the classes that make up at least 0.1 % of its "
    "labelled pixels. They choose the images and are not averaged into the tables."
)
_DISPUTED_NOTE = (
    "Disputed are the pixels that not all merged branches give the same class; in the view Disagreement they are red. "
    "Where branches agree, they may still be wrong together."
)

_FIXED_COLORS = {NO_ADAPT: "--none", "S1": "--s1", "S2": "--s2", S_ALL: "--pooled", MAX_MERGE: "--merged"}
_MORE_COLORS = ("--m1", "--m2", "--m3", "--m4", "--m5", "--m6")


def render(evaluation: Evaluation, found: Sequence[Curve], gallery: Gallery) -> str:
    """The page as HTML text.

    Args:
      evaluation: of `msda_tf.evaluate.evaluate`.
      found: of `curves.read`.
      gallery: that saw every image of the evaluation.
    """
    columns, networks = evaluation.columns, evaluation.trained
    colors = branch_colors(columns)
    better, than = pair(columns)
    shots = [*gallery.improved, *gallery.damaged]
    pictures = encode.encode(shots, networks.classes, better=better, than=than)
    targets = [_target(evaluation, metrics, better, than) for metrics in evaluation.scored]
    heat_maps = [each for metrics in evaluation.scored for each in _heat_maps(evaluation, metrics)]
    return template("report.html").render(
        common(networks, found, colors),
        target=", ".join(metrics.target for metrics in evaluation.scored),
        targets=targets,
        averages=tables.averages(evaluation) if len(targets) > 1 else [],
        columns=columns,
        better=better,
        than=than,
        headline=_headline(evaluation, better),
        heat_maps=heat_maps,
        first_heat=columns.index(better),
        groups=_groups(pictures, len(gallery.improved), than),
        layers=encode.layer_names(shots[0], bool(than)) if shots else [],
        gallery_title=f"Images: {better} against {than}" if than else "Images",
        gallery_note=_GALLERY_NOTE,
        disputed=False,
        merged=[line for line in evaluate.legend(evaluation) if line.startswith((MAX_MERGE, EQUATION_6))],
        notes=(*evaluation.notes, *curves.warnings(networks)),
        data=[MadeFrom.from_json(metrics.made_from).data for metrics in evaluation.scored],
    )


def render_estimate(found: Estimation, logged: Sequence[Curve], disputed: Disputed) -> str:
    """The page of a target without labels, as HTML text: estimates, and where branches disagree.

    Args:
      found: of `msda_tf.estimate.estimate`.
      logged: of `curves.read`.
      disputed: that saw every image.
    """
    columns, networks = list(found.estimates), found.trained
    colors = branch_colors(columns)
    better, _ = pair(columns)
    shots = disputed.shots
    best = found.estimates[better]
    return template("estimate.html").render(
        common(networks, logged, colors),
        target=found.data,
        found=found,
        columns=columns,
        better=better,
        than=None,
        headline=f"{better} is expected to reach {100 * best.miou:.1f} ± {100 * best.error:.1f} % mean IoU over "
        f"{len(networks.classes)} classes; no label of {found.data} was read.",
        trained_on=networks.training_sets,
        rows=[(name, [cell(each) for each in found.estimates.values()]) for name, cell in estimate.ROWS.items()],
        groups=[{"title": "Most disputed", "pictures": encode.encode(shots, networks.classes)}],
        layers=encode.layer_names(shots[0], False) if shots else [],
        gallery_title="Images on which the branches disagree most",
        gallery_note=_DISPUTED_NOTE,
        disputed=True,
        notes=(*found.notes, *curves.warnings(networks)),
        data=[found.scored_on],
    )


def common(networks: Trained, found: Sequence[Curve], colors: dict[str, str]) -> dict:
    """What all pages show of networks.

    Args:
      networks: that were scored.
      found: of `curves.read`.
      colors: of `branch_colors`.
    """
    return {
        "classes": networks.classes,
        "colors": colors,
        "sources": _sources(networks),
        "charts": _charts(found, colors),
        "chart_colors": chart_colors(found, colors),
        "taught": taught.read(networks),
        "made_from": networks.made_from(),
        "runs": [described(run) for run in networks.runs],
        **frame(),
    }


def frame() -> dict:
    """What every page holds."""
    return {
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "style": _part("style.css"),
        "script": _part("script.js"),
    }


def template(name: str) -> jinja2.Template:
    """A file of the folder `template`."""
    return _templates().get_template(name)


def branch_colors(columns: Sequence[str]) -> dict[str, str]:
    """A CSS colour for each column: always the same for the paper's, different ones for all up to six others."""
    others = [name for name in columns if name not in _FIXED_COLORS]
    more = {name: _MORE_COLORS[index % len(_MORE_COLORS)] for index, name in enumerate(others)}
    return {name: f"var({_FIXED_COLORS.get(name) or more[name]})" for name in columns}


def chart_colors(found: Sequence[Curve], colors: dict[str, str]) -> dict[str, str]:
    """Colours of all lines: a network's own merge has that of Max Merge."""
    return {curve.branch: colors.get(curve.branch, "var(--merged)") for curve in found}


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_part),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.2f}"
    environment.filters["points"] = signed
    environment.filters["sign"] = lambda value: {"+": "up", "−": "down"}.get(signed(value)[0], "")
    return environment


def signed(value: float | None) -> str:
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
                {
                    "kind": kind,
                    "title": title,
                    "percent": percent,
                    "chart": charts.line_chart(lines, title=title, percent=percent),
                }
            )
    return shown


def _groups(pictures, improved: int, than: str | None) -> list[dict]:
    titles = ("Most improved", "Most damaged") if than else ("Best", "Worst")
    groups = zip(titles, (pictures[:improved], pictures[improved:]), strict=True)
    return [{"title": title, "pictures": own} for title, own in groups]


def described(run: Run) -> dict:
    """What a page says of a run's settings and origin."""
    provenance = run.info.get("provenance", {})
    return {
        "directory": cache.shown(run.directory),
        "sources": " + ".join(run.config.sources),
        "steps": run.config.steps,
        "adapt": adapts(run.config),
        "layout": run.config.layout,
        "started": provenance.get("started", "unknown"),
        "packages": ", ".join(f"{name} {version}" for name, version in provenance.get("packages", {}).items()),
        "settings": yaml.safe_dump(config.to_dict(run.config), sort_keys=False),
    }
