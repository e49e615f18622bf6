"""How every branch fares on every source's held-out images, and what follows for a domain that none has seen.

A cell of the table is one branch on the held-out images of one source. It is *seen* if the branch's classifier was
trained on other images of that source, and *unseen* otherwise: S1 on the second source, which is to it what the target
is, a stranger, but with labels. (The backbone below it has seen every source.)

A branch's `Calibration` is taken from its unseen cells, each source counting alike. S-All has seen every source: all
its cells are of known domains, where it is better than it will be on the target. What no cell of its own can tell, the
others' do: by how much, on average over S1..Sn, temperature and likelihood grow from seen to unseen cells. Half of that
step is added to what S-All has on its seen cells: whoever learned from several domains has less far to go to another
(docs/studies/unequal_sources.md has the figures for none, half and all of it). Without any unseen cell, as with one
source or with S-All alone, the seen ones have to do, and `basis` says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from msda_tf import state_file
from msda_tf.evaluation.calibration import TEMPERATURES, Tally
from msda_tf.evaluation.confusion import class_iou
from msda_tf.state_file import Damaged

UNSEEN, SHIFTED, SEEN = "unseen", "shifted", "seen"
"""What a calibration rests on: cells of other sources; seen cells and the others' step to unseen ones; seen cells."""


STEP_SHARE = 0.5
"""Of the other branches' step from seen to unseen cells: what S-All is taken to make."""


@dataclass(frozen=True)
class Cell:
    """One branch on the held-out images of one source. K temperatures (`msda_tf.evaluation.calibration.TEMPERATURES`).

    Attributes:
      seen: whether the branch was trained on the source.
      images: number of held-out images.
      confusion: of all their pixels, int64 `[C, C + 1]`.
      nll: -log p(true class), mean over pixels, at each temperature: float64 `[K]`, nats; NaN without labelled pixels.
      calibration_error: float64 `[K]`, 0-1.
      confidence: mean of the highest probability, float64 `[K]`.
      threshold: the confidence that as many pixels reach as are right, float64 `[K]`.
      expected_miou: as the probabilities expect it, float64 `[K]`.
    """

    seen: bool
    images: int
    confusion: np.ndarray
    nll: np.ndarray
    calibration_error: np.ndarray
    confidence: np.ndarray
    threshold: np.ndarray
    expected_miou: np.ndarray

    @classmethod
    def of(cls, found: Tally, confusion: np.ndarray, *, seen: bool, images: int) -> "Cell":
        """From what was counted."""
        return cls(
            seen,
            images,
            confusion,
            found.mean_nll(),
            found.calibration_error(),
            found.mean_confidence(),
            found.threshold(),
            found.expected_miou(),
        )

    @property
    def miou(self) -> float:
        """Mean over all classes, an absent one counts 0 (the paper's rule)."""
        return float(np.nan_to_num(class_iou(self.confusion)).mean())

    @property
    def accuracy(self) -> float:
        """Share of the labelled pixels that are right; NaN without any."""
        total = self.confusion.sum()
        return float(np.trace(self.confusion) / total) if total else np.nan


Cells = Mapping[str, Mapping[str, Cell]]
"""Branch -> source -> cell: the table."""


@dataclass(frozen=True)
class Calibration:
    """How far a branch is to be believed on a domain that it has not seen.

    Attributes:
      temperature: by which its logits are divided.
      nll: what is then to be expected, nats a pixel.
      class_weights: its say in each class against the other branches', float64 `[C]`: exp(-nll), times its IoU of the
        class over its mean IoU where the class was there to be judged.
      basis: `UNSEEN`, `SHIFTED` or `SEEN`.
      sources: on whose held-out images it rests.
    """

    temperature: float
    nll: float
    class_weights: np.ndarray
    basis: str
    sources: tuple[str, ...]

    @property
    def weight(self) -> float:
        """Its say against the other branches': exp(-nll)."""
        return float(np.exp(-self.nll))


def calibrations(cells: Cells) -> dict[str, Calibration]:
    """What the table says of each branch of one run; branches without a single labelled pixel are left out."""
    known = {
        branch: {source: cell for source, cell in row.items() if np.isfinite(cell.nll).all()}
        for branch, row in cells.items()
    }
    shift = _shift(known)
    found = {}
    for branch, row in known.items():
        unseen = {source: cell for source, cell in row.items() if not cell.seen}
        if not row:
            continue
        used, basis = (unseen, UNSEEN) if unseen else (row, SEEN if shift is None else SHIFTED)
        log_temperature, nll = _fit(used.values())
        if basis == SHIFTED:
            log_temperature, nll = log_temperature + STEP_SHARE * shift[0], nll + STEP_SHARE * shift[1]
        weights = np.exp(-nll) * _class_factors(used.values())
        found[branch] = Calibration(float(2.0**log_temperature), float(nll), weights, basis, tuple(used))
    return found


def at(curve: np.ndarray, temperature: float) -> float:
    """The value of a curve over the grid's temperatures at another one, on a straight line over its logarithm."""
    return float(np.interp(np.log2(temperature), np.log2(TEMPERATURES), curve))


def best_temperature(curve: np.ndarray) -> float:
    """Where a curve of nats over the grid is lowest: the vertex of the parabola through the lowest three points."""
    lowest = int(np.clip(curve.argmin(), 1, len(TEMPERATURES) - 2))
    step = np.log2(TEMPERATURES[1] / TEMPERATURES[0])
    before, here, after = curve[lowest - 1 : lowest + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(TEMPERATURES[lowest] * 2 ** (step * np.clip(shift, -1, 1)))


def _fit(cells) -> tuple[float, float]:
    """(log2 of the best temperature, nats a pixel there), each cell counting alike."""
    curve = np.mean([cell.nll for cell in cells], axis=0)
    return float(np.log2(best_temperature(curve))), float(curve.min())


def _shift(known: Cells) -> tuple[float, float] | None:
    """By how much log2 of the temperature and nats grow from seen to unseen cells, over the branches with both."""
    steps = []
    for row in known.values():
        seen, unseen = ([cell for cell in row.values() if cell.seen is kind] for kind in (True, False))
        if seen and unseen:
            (near, near_nll), (far, far_nll) = _fit(seen), _fit(unseen)
            steps.append((far - near, far_nll - near_nll))
    return tuple(np.mean(steps, axis=0)) if steps else None


_LEAST_FACTOR = 0.05
"""Of a class that a branch never finds: little enough to stay silent, enough to speak where all do."""


def _class_factors(cells) -> np.ndarray:
    """IoU of each class over the mean of those that occur, float64 `[C]`; 1 for a class that does not occur."""
    matrix = np.sum([cell.confusion for cell in cells], axis=0)
    iou = np.nan_to_num(class_iou(matrix))
    there = matrix.sum(axis=1) > 0
    mean = iou[there].mean() if there.any() else 0.0
    return np.where(there & (mean > 0), np.maximum(iou / max(mean, 1e-9), _LEAST_FACTOR), 1.0)


_CURVES = ("nll", "calibration_error", "confidence", "threshold", "expected_miou")


def to_json(cells: Cells) -> dict:
    """JSON-ready: what `from_json` reads; `miou` and `accuracy` are there for people."""
    return {branch: {source: _cell_json(cell) for source, cell in row.items()} for branch, row in cells.items()}


def _cell_json(cell: Cell) -> dict:
    curves = {name: [None if np.isnan(value) else float(value) for value in getattr(cell, name)] for name in _CURVES}
    accuracy = None if np.isnan(cell.accuracy) else cell.accuracy
    value = {"seen": cell.seen, "images": cell.images, "miou": cell.miou, "accuracy": accuracy}
    return {**value, "confusion": cell.confusion.tolist(), **curves}


def from_json(value: dict, classes: int) -> dict[str, dict[str, Cell]]:
    """What `to_json` gave.

    Args:
      value: of a file.
      classes: C.

    Raises:
      Damaged: in words.
    """
    rows = {branch: state_file.mapping(value, branch) for branch in value}
    return {
        branch: {source: _cell(state_file.mapping(row, source), classes) for source in row}
        for branch, row in rows.items()
    }


def _cell(value: dict, classes: int) -> Cell:
    rows = state_file.get(value, "confusion")
    good = isinstance(rows, list) and len(rows) == classes
    if not good or not all(isinstance(row, list) and len(row) == classes + 1 for row in rows):
        raise Damaged(f"confusion: expected {classes} rows of {classes + 1} counts")
    if not all(type(count) is int and 0 <= count < 1 << 53 for row in rows for count in row):
        raise Damaged("confusion: expected counts")
    curves = [_curve(value, name) for name in _CURVES]
    return Cell(state_file.flag(value, "seen"), state_file.whole(value, "images"), np.array(rows, np.int64), *curves)


def _curve(value: dict, name: str) -> np.ndarray:
    found = state_file.get(value, name)
    if isinstance(found, list) and len(found) == len(TEMPERATURES) and all(each is None for each in found):
        return np.full(len(TEMPERATURES), np.nan)
    return np.array(state_file.numbers(value, name, len(TEMPERATURES)))
