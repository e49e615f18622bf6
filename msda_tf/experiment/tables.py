"""A table of runs for the terminal and for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from msda_tf.config.branches import NO_ADAPT, S_ALL
from msda_tf.evaluation.tables import aligned, framed, show_fitting
from msda_tf.experiment.results import GAINS, PRESENT_RULE, Row, Spread


@dataclass(frozen=True)
class TextTable:
    """Cells as they are printed.

    Attributes:
      title: above it.
      header: names of the columns.
      rows: of cells, the first two name the row; a cell that begins with `BEST` is shown in bold.
      notes: sentences below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


BEST = "*"
_NAMES = 2  # columns that name a row


def all_tables(rows: Sequence[Row], *, seeds: int) -> list[TextTable]:
    """Mean IoU by both rules, the gains of one column over another, and the classes of the paper's Table 2.

    Args:
      rows: of `results.gather`.
      seeds: how many each column should have; columns of fewer say so.
    """
    labelled = [row for row in rows if not row.estimated]
    estimated = [_estimates(row, seeds) for row in rows if row.estimated]
    return [*(_measured(labelled, seeds) if labelled else ()), *estimated]


def _measured(rows: Sequence[Row], seeds: int) -> list[TextTable]:
    """Of the targets that have labels."""
    columns = _columns(rows)
    over = _over(seeds)
    branches = "; ".join({row.target: _branches(row) for row in rows}.values())
    scored = _scored(rows)
    notes = [over, branches, *_settings(rows), *scored]
    if any(row.paper for row in rows):
        notes.append("paper: its Table 1, S1 and S2 by data set; -: not reported; difference: measured - paper")
    if any(0 < s.count < seeds for row in rows for c in columns if (s := row.spread(c))):
        notes.append("(n): from n seeds only, the others are not finished")
    all_ = TextTable(
        "Mean IoU in %, all classes, an absent one counts 0 (the paper's rule)",
        ("target", "", *columns),
        tuple(line for row in rows for line in _lines(row, columns, seeds)),
        tuple(notes),
    )
    present = TextTable(
        "Mean IoU in %, without classes that are neither in the labels nor predicted (Cityscapes' rule)",
        ("target", "", *columns),
        tuple(
            (_name(row), "measured", *_marked([row.spread(c, PRESENT_RULE) for c in columns], columns, seeds))
            for row in rows
        ),
        (over, *scored),
    )
    classes = _classes(rows, seeds, over, scored)
    gains = _gains(rows, over, scored)
    own = [_own_classes(row, seeds, over) for row in rows if row.columns and not row.paper_iou]
    return [all_, present, *([gains] if gains else []), *([classes] if classes else []), *own]


def _columns(rows: Sequence[Row]) -> list[str]:
    """Of all rows: those of the row with the most, and what others have besides."""
    longest = max(rows, key=lambda row: len(row.names)).names
    return list(dict.fromkeys([*longest, *(name for row in rows for name in row.names)]))


def _over(seeds: int) -> str:
    return f"mean ± sample standard deviation over {seeds} seeds" if seeds > 1 else "one seed"


def _branches(row: Row) -> str:
    return f"{row.target}: " + ", ".join(f"S{number} = {name}" for number, name in enumerate(row.sources, 1))


def _settings(rows: Sequence[Row]) -> list[str]:
    """With what the runs were trained: one sentence for all rows that have the same."""
    by_settings: dict[str, list[str]] = {}
    for row in rows:
        by_settings.setdefault(row.settings, []).append(_name(row))
    several = len(by_settings) > 1
    return [
        f"{', '.join(names) + ': ' if several else ''}trained with {settings}"
        for settings, names in by_settings.items()
    ]


def _estimates(row: Row, seeds: int) -> TextTable:
    """Of a target without labels: in a table of its own, for an estimate is no score."""
    values = [row.estimate_spread(column) for column in row.names]
    cells = [_counted(_spread(value), value, seeds) for value in values]
    errors = [_percent(row.estimate_error(column)) for column in row.names]
    notes = [
        "an estimate from images of the sources; standard error: of one seed's, over images and as wrong as such "
        "estimates are on sources that the branches have not seen",
        f"{NO_ADAPT} and {S_ALL} have seen every source: expect less of them than estimated",
        _over(seeds),
        _branches(row),
        *_settings([row]),
    ]
    if str(row.resolution):
        notes.append(f"looked at {row.resolution.of(row.images)}")
    lines = ((_name(row), "estimated", *cells), ("", "standard error", *errors))
    return TextTable("Estimated mean IoU in %: no label was read", ("target", "", *row.names), lines, tuple(notes))


def _scored(rows: Sequence[Row]) -> list[str]:
    """Sentences on the size of the images, and on checkpoints that were chosen by what they are scored on."""
    found = []
    sizes = {row.target: row.resolution for row in rows if row.resolution.sizes}
    if sizes:
        found.append("scored at: " + ", ".join(f"{target} {size}" for target, size in sizes.items()))
        found += [note for target, size in sizes.items() for note in size.notes(target)]
    selected = [_name(row) for row in rows if row.selected]
    if selected:
        found.append(f"checkpoints selected on the target's labels (select=best): {', '.join(selected)}")
    return found


def _lines(row: Row, columns: Sequence[str], seeds: int) -> list[tuple[str, ...]]:
    values = [row.spread(column) for column in columns]
    lines = [(_name(row), "measured", *_marked(values, columns, seeds))]
    if row.paper:
        figures = [row.paper.get(column) for column in columns]
        pairs = zip(values, figures, strict=True)
        differences = (None if value is None or figure is None else value.mean - figure for value, figure in pairs)
        lines.append(("", "paper", *(_percent(figure) for figure in figures)))
        lines.append(("", "difference", *(_percent(each, signed=True) for each in differences)))
    return lines


def _gains(rows: Sequence[Row], over: str, scored: Sequence[str]) -> TextTable | None:
    pairs = [pair for pair in GAINS if any(set(pair) <= set(row.names) for row in rows)]
    lines = []
    for row in rows:
        gains = [row.gain(*pair) for pair in pairs]
        lines.append((_name(row), "measured", *(_spread(gain, signed=True) for gain in gains)))
        if row.paper:
            lines.append(("", "paper", *(_percent(row.paper_gain(*pair), signed=True) for pair in pairs)))
    note = f"{over}: of the differences within each seed" if "seeds" in over else over
    header = ("target", "", *(f"{high} - {low}" for high, low in pairs))
    return TextTable("Gains in points of mean IoU (the paper's rule)", header, tuple(lines), (note, *scored))


def _classes(rows: Sequence[Row], seeds: int, over: str, scored: Sequence[str]) -> TextTable | None:
    """Table 2, transposed: one column for each of its rows, so that 19 classes fit a terminal; None without any."""
    pairs = [(row, column) for row in rows for column in row.paper_iou]
    if not pairs:
        return None
    lines = []
    for name in pairs[0][0].paper_iou[pairs[0][1]]:
        measured = [row.class_spread(column, name) for row, column in pairs]
        cells = [_counted(_spread(s), s, seeds) for s in measured]
        lines.append((name, "measured", *cells))
        lines.append(("", "paper", *(_percent(row.paper_iou[column][name]) for row, column in pairs)))
    header = ("class", "", *(f"{_name(row)}, {column}" for row, column in pairs))
    notes = (over, "paper: its Table 2, at full resolution; a class that is absent counts 0", *scored)
    return TextTable("IoU of each class in %", header, tuple(lines), notes)


def _own_classes(row: Row, seeds: int, over: str) -> TextTable:
    """Every class of one target, and which of them some seeds lost."""
    columns = [name for name in row.names if name in row.columns]
    known = list(next(iter(row.columns[columns[0]].values())).iou)
    spreads = {name: [row.class_spread(column, name) for column in columns] for name in known}
    lines = [(name, "", *(_counted(_spread(s), s, seeds) for s in spreads[name])) for name in known]
    lost = []
    for column in columns:
        of = row.columns[column].values()
        for name in known:
            zeros = sum(not scores.iou[name] for scores in of)
            if 0 < zeros < len(of):
                lost.append(f"{name} of {column} in {zeros} of {len(of)}")
    notes = [over, "a class that is absent counts 0"]
    if lost:
        notes.append(f"0 in some seeds and found in others: {', '.join(lost)}")
    header = ("class", "", *columns)
    return TextTable(f"IoU of each class in % on {_name(row)}", header, tuple(lines), tuple(notes))


def _name(row: Row) -> str:
    return row.target if row.scale == 1 else f"{row.target} at {row.scale:g}"


def _marked(values: Sequence[Spread | None], columns: Sequence[str], seeds: int) -> list[str]:
    """Cells; the best of the columns that never saw a label of the target is marked."""
    fair = [round(value.mean, 4) for value, column in zip(values, columns, strict=True) if value and column != "Oracle"]
    best = max(fair) if len(set(fair)) > 1 else None
    cells = []
    for value, column in zip(values, columns, strict=True):
        text = _counted(_spread(value), value, seeds)
        marked = value and column != "Oracle" and round(value.mean, 4) == best
        cells.append(BEST + text if marked else text)
    return cells


def _counted(text: str, value: Spread | None, seeds: int) -> str:
    """A cell that says of how many seeds it is, if not of all."""
    return f"{text} ({value.count})" if value and value.count < seeds else text


def _spread(value: Spread | None, signed: bool = False) -> str:
    if value is None:
        return "-"
    return _percent(value.mean, signed) + ("" if value.std is None else f" ± {100 * value.std:.2f}")


def _percent(value: float | None, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{100 * value:+.2f}" if signed else f"{100 * value:.2f}"


def show(table: TextTable, console: Console) -> None:
    """Prints a framed table where it fits the terminal, plain text elsewhere."""
    show_fitting(_framed(table), to_text(table), console)


def _framed(table: TextTable) -> Table:
    shown = framed(table.title, table.notes)
    for index, name in enumerate(table.header):
        shown.add_column(name, justify="left" if index < _NAMES else "right", no_wrap=True)
    for number, row in enumerate(table.rows):
        if row[0] and number:
            shown.add_section()
        shown.add_row(*(Text(c, style="bold green") if c.startswith(BEST) else Text(c) for c in row))
    return shown


def to_text(table: TextTable) -> str:
    """Plain aligned text; the best of each row has a star."""
    return aligned(table.title, [table.header, *table.rows], table.notes, left=_NAMES)


def to_markdown(table: TextTable) -> str:
    """A Markdown table; the best of each row is bold."""
    lines = [f"**{table.title}**", "", "| " + " | ".join(table.header) + " |"]
    lines.append("|---|---|" + "---:|" * (len(table.header) - 2))
    for row in table.rows:
        cells = (f"**{cell.removeprefix(BEST)}**" if cell.startswith(BEST) else cell for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"{note}  " for note in table.notes)]) + "\n"
