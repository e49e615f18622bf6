"""The paper's tables, from confusion matrices: mean IoU per branch (Table 1) and IoU per class (Table 2), in percent.

Branches are columns (No Adapt, S1, S2, ..., S-All, Max Merge: in the order given), so that any number of classes fits
a terminal. The best value of each row is marked, ties included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from msda_tf.evaluation.metrics import Mean
from msda_tf.evaluation.protocol import score
from msda_tf.labels import ClassList
from msda_tf.printable import printable

_SUBSET_NOTES = {
    "mean-of-ious": "subset: the mean of these classes' IoUs among all classes (mean-of-ious)",
    "drop-pixels": "subset: pixels of the other classes are ignored, which changes each IoU (drop-pixels)",
}


@dataclass(frozen=True)
class Grid:
    """A table of percentages.

    Attributes:
      title: what it shows, and of what.
      columns: names of the value columns.
      rows: (name, one value per column); None where there is nothing to score.
      notes: sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    notes: tuple[str, ...] = ()


def mean_iou_table(
    matrices: Mapping[str, np.ndarray],
    classes: ClassList,
    *,
    title: str,
    names: tuple[str, ...] | None = None,
    rule: str = "mean-of-ious",
) -> Grid:
    """One row of the paper's Table 1, by both rules for absent classes.

    Args:
      matrices: branch name -> int64 `[C, C + 1]`.
      classes: the C classes.
      title: names the target, its split and the number of images.
      names: the classes to average over; all by default.
      rule: for a subset, one of `protocol.SUBSET_RULES`.

    Raises:
      UsageError: a name is not among `classes`.
    """
    scores = [score(matrix, classes, names, rule) for matrix in matrices.values()]
    count = len(names or classes)
    rows = (
        (f"mIoU, all {count} classes", tuple(_percent(each.miou_all) for each in scores)),
        ("mIoU, present classes", tuple(_percent(each.miou_present) for each in scores)),
    )
    notes = (
        f"all {count} classes: the paper's rule, an absent class counts 0",
        "present classes: Cityscapes' rule, without the classes that are neither in the labels nor predicted",
    )
    if count < len(classes):
        notes += (_SUBSET_NOTES[rule],)
    return Grid(title=title, columns=tuple(matrices), rows=rows, notes=notes)


def average_table(means: Mapping[str, Mean], *, title: str, classes: int, notes: Sequence[str]) -> Grid:
    """Of several targets: the rows of `mean_iou_table`, averaged.

    Args:
      means: branch name -> its mean over the targets.
      title: names the targets.
      classes: number of classes averaged over.
      notes: what stands below.
    """
    rows = (
        (f"mIoU, all {classes} classes", tuple(_percent(each.miou_all) for each in means.values())),
        ("mIoU, present classes", tuple(_percent(each.miou_present) for each in means.values())),
    )
    own = "average: every target counts alike, however many images it has; their pixels are never counted together"
    return Grid(title=title, columns=tuple(means), rows=rows, notes=(own, *notes))


def class_iou_table(matrices: Mapping[str, np.ndarray], classes: ClassList, *, title: str) -> Grid:
    """The paper's Table 2, transposed: one row per class.

    Args:
      matrices: branch name -> int64 `[C, C + 1]`.
      classes: the C classes.
      title: names the target, its split and the number of images.
    """
    scores = [score(matrix, classes) for matrix in matrices.values()]
    rows = tuple((name, tuple(_percent(each.iou[name]) for each in scores)) for name in classes.names)
    absent = any(value is None for _, values in rows for value in values)
    notes = ("-: the class is neither in the labels nor predicted",) if absent else ()
    return Grid(title=title, columns=tuple(matrices), rows=rows, notes=notes)


def show(grid: Grid, console: Console) -> None:
    """Prints a framed table where it fits the terminal, plain text elsewhere."""
    show_fitting(to_rich(grid), to_text(grid), console)


def show_fitting(table: Table, text: str, console: Console) -> None:
    """Prints a framed table where it fits the terminal, its plain text elsewhere: rich would cut numbers short."""
    needed = console.measure(table, options=console.options.update(max_width=10_000)).maximum
    if console.is_terminal and needed <= console.width:
        console.print(table)
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def framed(title: str, notes: Sequence[str]) -> Table:
    """An empty framed table with its title above and notes below."""
    return Table(
        title=printable(title),
        title_justify="left",
        title_style="bold",
        caption="\n".join(map(printable, notes)),
        caption_justify="left",
        caption_style="dim",
    )


def aligned(title: str, lines: Sequence[Sequence[str]], notes: Sequence[str], *, left: int) -> str:
    """Plain text of cells; the first of the lines is the header, the first `left` columns are names."""
    title, notes = printable(title), map(printable, notes)
    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    body = [
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, body[0], "-" * max(map(len, body)), *body[1:], *notes]) + "\n"


def to_rich(grid: Grid) -> Table:
    """A framed table: the best value of each row is bold green and, for those without colours, has a star."""
    table = framed(grid.title, grid.notes)
    table.add_column("IoU in %", no_wrap=True)
    for column in grid.columns:
        table.add_column(printable(column), justify="right", no_wrap=True)
    for name, values in grid.rows:
        cells = [
            Text(f"{_cell(value)}*", style="bold green") if marked else Text(f"{_cell(value)} ")
            for value, marked in zip(values, best(values), strict=True)
        ]
        table.add_row(printable(name), *cells)
    return table


def to_text(grid: Grid) -> str:
    """Plain aligned text; the best value of each row has a star."""
    lines = [["IoU in %", *(f"{column} " for column in grid.columns)]]
    for name, values in grid.rows:
        cells = zip(values, best(values), strict=True)
        lines.append([name, *(_cell(value) + ("*" if marked else " ") for value, marked in cells)])
    return aligned(grid.title, lines, grid.notes, left=1)


def to_markdown(grid: Grid) -> str:
    """A Markdown table; the best value of each row is bold."""
    lines = [
        f"**{grid.title}**",
        "",
        "| IoU in % | " + " | ".join(grid.columns) + " |",
        "|---|" + "---:|" * len(grid.columns),
    ]
    for name, values in grid.rows:
        cells = (
            f"**{_cell(value)}**" if marked else _cell(value)
            for value, marked in zip(values, best(values), strict=True)
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    notes = ["", *(f"{note}  " for note in grid.notes)] if grid.notes else []
    return "\n".join([*lines, *notes]) + "\n"


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def best(values: Sequence[float | None]) -> list[bool]:
    """Whether each value, in percent, is the highest of its row as printed; none is where all are equal, 0 or alone."""
    printed = [None if value is None else round(value, 2) for value in values]
    known = {value for value in printed if value is not None}
    if len(known) < 2:
        return [False] * len(values)
    return [value == max(known) for value in printed]
