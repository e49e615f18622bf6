"""From compared runs to their page."""

from collections.abc import Sequence

from msda_tf.config.branches import MAX_MERGE
from msda_tf.evaluation.tables import best
from msda_tf.labels import ClassList
from msda_tf.report import charts, compared, page
from msda_tf.report.album import Page
from msda_tf.report.compared import Compared

SLIGHT = 0.005
"""A class is called gained or lost beyond this difference of its IoU."""


def render(found: Sequence[Compared], classes: ClassList, gained: Sequence[Page], lost: Sequence[Page]) -> str:
    """The page as HTML text.

    Args:
      found: each run; the first is what the others are compared with.
      classes: of all of them, in the colours in which they are shown.
      gained, lost: the images to show.
    """
    first, metrics = found[0], found[0].metrics
    colors = dict(zip([each.name for each in found], _colors(len(found)), strict=True))
    gains = {each.name: compared.gains(first, each) for each in found[1:]}
    branches = list(dict.fromkeys(branch for each in found for branch in each.metrics.matrices))
    branches = [] if {each.column for each in found} == {*branches} else branches
    return page.template("compare.html").render(
        page.frame(),
        target=metrics.target,
        metrics=metrics,
        found=found,
        names=[each.name for each in found],
        colors=colors,
        classes=classes,
        headline=_headline(found),
        notes=[f"{each.name}: {note}" for each in found for note in each.notes],
        differences=compared.differences(found),
        means=[
            ("all classes", _row([each.scores.miou_all for each in found])),
            ("present classes", _row([each.scores.miou_present for each in found])),
        ],
        branches=[(name, _row([_branch(each, name) for each in found])) for name in branches],
        iou=_classes(found, classes, gains),
        balance={name: _balance(each) for name, each in gains.items()},
        charts=_charts(found, colors),
        views=["Image", "Truth", *(each.name for each in found)],
        shown=bool(gained or lost),
        groups=[
            {"title": f"Gained most over {first.name}", "pages": gained},
            {"title": f"Lost most against {first.name}", "pages": lost},
        ],
        runs=[(each.name, page.described(each.run)) for each in found],
    )


def _colors(count: int) -> list[str]:
    names = ("--s1", "--s2", "--pooled", "--merged", "--m1", "--m2", "--m3", "--m4")
    return [f"var({names[index % len(names)]})" for index in range(count)]


def _headline(found: Sequence[Compared]) -> str:
    first, *others = found
    said = []
    for each in others:
        difference = page.signed(each.scores.miou_all - first.scores.miou_all)
        said.append(
            f"{each.name} reaches {100 * each.scores.miou_all:.2f} % mean IoU, {difference} points against {first.name}"
        )
    return "; ".join(said) + "."


def _row(values: Sequence[float | None]) -> list[tuple[float | None, bool, float | None]]:
    """(value, whether best, difference to the first) of each run."""
    marked = best([None if value is None else 100 * value for value in values])
    low = values[0]
    return [
        (value, mark, None if index == 0 or None in (value, low) else value - low)
        for index, (value, mark) in enumerate(zip(values, marked, strict=True))
    ]


def _branch(each: Compared, name: str) -> float | None:
    return each.metrics.scores(name).miou_all if name in each.metrics.matrices else None


def _classes(found: Sequence[Compared], classes: ClassList, gains: dict) -> list[dict]:
    """A row for each class, those that the last run changes most first."""
    last = gains[found[-1].name]
    order = sorted(classes.names, key=lambda name: -abs(last[name] or 0))
    place = {name: index for index, name in enumerate(classes.names)}
    return [
        {
            "name": name,
            "color": "#{:02x}{:02x}{:02x}".format(*classes.colors[place[name]]),
            "cells": _row([each.scores.iou[name] for each in found]),
        }
        for name in order
    ]


def _balance(gains: dict[str, float | None]) -> dict[str, list[tuple[str, float]]]:
    """Classes that are gained and lost, most first."""
    known = [(name, gain) for name, gain in gains.items() if gain is not None]
    return {
        "gained": sorted([pair for pair in known if pair[1] > SLIGHT], key=lambda pair: -pair[1]),
        "lost": sorted([pair for pair in known if pair[1] < -SLIGHT], key=lambda pair: pair[1]),
    }


def _charts(found: Sequence[Compared], colors: dict[str, str]) -> list[dict]:
    """The score while training, a line for each run; once where a run is compared with itself."""
    lines, seen = [], set()
    for each in found:
        own = [curve for curve in each.curves if curve.kind == "miou" and curve.level == ""]
        merged = [curve for curve in own if curve.branch.endswith("merged") or curve.branch == MAX_MERGE] or own[-1:]
        if merged and each.run.directory not in seen:
            seen.add(each.run.directory)
            curve = merged[0]
            lines.append(charts.Line(each.name, colors[each.name], False, curve.steps, curve.values))
    title = "Mean IoU while training"
    return [{"title": title, "chart": charts.line_chart(lines, title=title, percent=True)}] if lines else []
