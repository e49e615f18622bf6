"""The cross-source table for the terminal."""

from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.text import Text

from msda_tf.evaluation.cross_source import SEEN, SHIFTED, UNSEEN, Calibration, Cells, at, best_temperature
from msda_tf.evaluation.tables import aligned, framed, show_fitting

TITLE = "Every branch on the held-out images of every source"

HEADER = ("branch", "source", "", "images", "mIoU %", "nats", "error %", "temperature")

NOTES = (
    "nats: -log of the true class's probability, a pixel; error: expected calibration error; both as the network gives "
    "them; temperature: what would fit the cell best",
    "unseen: the branch learned from no image of this source, as from none of the target's labels",
)

_BASES = {
    UNSEEN: "from what it has not seen",
    SHIFTED: "from what it has seen, made worse by half the step of the other branches from seen to unseen",
    SEEN: "from what it has seen, which is too good for a new domain: there is no unseen source",
}


def rows(cells: Cells) -> list[tuple[str, ...]]:
    """Cells of the table as text: one row for each branch and source."""
    found = []
    for branch, row in cells.items():
        for source, cell in row.items():
            known = np.isfinite(cell.nll).all()
            figures = (
                f"{100 * cell.miou:.2f}" if known else "-",
                f"{at(cell.nll, 1):.3f}" if known else "-",
                f"{100 * at(cell.calibration_error, 1):.1f}" if known else "-",
                f"{best_temperature(cell.nll):.2f}" if known else "-",
            )
            found.append((branch, source, "seen" if cell.seen else "unseen", str(cell.images), *figures))
    return found


def notes(calibrations: Mapping[str, Calibration]) -> list[str]:
    """What follows for each branch, a sentence each."""
    return [
        f"{branch}: temperature {each.temperature:.2f}, expected {each.nll:.3f} nats, {_BASES[each.basis]} "
        f"({', '.join(each.sources)})"
        for branch, each in calibrations.items()
    ]


def show(cells: Cells, calibrations: Mapping[str, Calibration], console: Console) -> None:
    """Prints a framed table where it fits the terminal, plain text elsewhere."""
    lines, below = rows(cells), [*NOTES, *notes(calibrations)]
    table = framed(TITLE, below)
    for index, name in enumerate(HEADER):
        table.add_column(name, justify="left" if index < 3 else "right", no_wrap=True)
    for line in lines:
        table.add_row(*map(Text, line))
    show_fitting(table, aligned(TITLE, [HEADER, *lines], below, left=3), console)
