"""Charts as SVG markup. Colours are CSS variables of the page, so that they follow its light or dark theme."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from rich.cells import cell_len, set_cell_size

_WIDTH, _HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 8, 8, 30
_LONGEST_NAME = 24


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
      label: shown when it is pointed at.
      color: a CSS colour.
      dashed: drawn dashed.
      steps, values: float `[N]` each.
    """

    label: str
    color: str
    dashed: bool
    steps: np.ndarray
    values: np.ndarray


def line_chart(lines: Sequence[Line], *, title: str, percent: bool = False) -> Markup:
    """Lines over training steps.

    Args:
      lines: at least one.
      title: for those who cannot see the chart.
      percent: the values are fractions, to be shown in percent.
    """
    factor = 100 if percent else 1
    values = np.concatenate([line.values for line in lines]) * factor
    last = max(float(line.steps[-1]) for line in lines)
    ticks = nice_ticks(float(values.min()), float(values.max()))
    low, high = ticks[0], ticks[-1]
    first = 0.0
    step_ticks = [tick for tick in nice_ticks(first, last, 6) if first <= tick <= last]

    def x(step):
        return _LEFT + (step - first) / max(last - first, 1e-9) * (_WIDTH - _LEFT - _RIGHT)

    def y(value):
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in step_ticks:
        anchor = "end" if x(tick) > _WIDTH - 30 else "middle"
        parts.append(f'<text x="{x(tick):.1f}" y="{_HEIGHT - 12}" text-anchor="{anchor}">{_steps(tick)}</text>')
    for line in lines:
        points = " ".join(
            f"{x(step):.1f},{y(value * factor):.1f}" for step, value in zip(line.steps, line.values, strict=True)
        )
        dash = ' stroke-dasharray="4 3"' if line.dashed else ""
        label = html.escape(line.label)
        shape = f'<polyline points="{points}" fill="none" stroke="{line.color}" stroke-width="1.6"{dash}/>'
        if len(line.steps) == 1:
            shape = (
                f'<circle cx="{x(line.steps[0]):.1f}" cy="{y(line.values[0] * factor):.1f}" r="3" fill="{line.color}"/>'
            )
        unit = " %" if percent else ""
        parts.append(f"<g>{shape}<title>{label}: {line.values[-1] * factor:.3g}{unit} at the end</title></g>")
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers; the first is at most `low`, the last at least `high`."""
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / (count - 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _steps(step: float) -> str:
    return f"{step / 1000:g}k" if step >= 1000 else f"{step:g}"


def heat_map(matrix: np.ndarray, names: Sequence[str], *, title: str) -> Markup:
    """A confusion matrix, each row in shares of its true class.

    The opacity of a cell is the square root of its share: confusions of a few percent are what one looks for.

    Args:
      matrix: int64 `[C, C + 1]`; the last column, of pixels predicted as no class, is left out of the picture.
      names: C class names.
      title: for those who cannot see the chart.
    """
    count, cell = len(names), 22
    shown = [_shortened(name) for name in names]
    longest = max(92, 7 * max(map(cell_len, shown)) + 8)
    left, top, right = longest, math.ceil(0.87 * longest) + 12, longest // 2  # above the columns names slant by 60°
    pixels = matrix.sum(axis=1)
    size = left + count * cell + right, top + count * cell
    parts = []
    for index, name in enumerate(shown):
        label, middle = html.escape(name), index * cell + cell / 2 + 4
        weak = "" if pixels[index] else ' class="absent"'
        parts.append(f'<text{weak} x="{left - 6}" y="{top + middle:.0f}" text-anchor="end">{label}</text>')
        parts.append(f'<text transform="translate({left + middle:.0f} {top - 6}) rotate(-60)">{label}</text>')
    for row in range(count):
        for column in range(count):
            share = matrix[row, column] / pixels[row] if pixels[row] else 0.0
            x, y = left + column * cell, top + row * cell
            own = ' class="own"' if row == column else ""
            parts.append(f'<rect{own} x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" data-share="{share:.4g}"')
            parts.append(f' style="--v:{math.sqrt(share):.3f}"/>')
            if share >= 0.005:
                strong = " strong" if share > 0.3 else ""
                text = f'<text class="share{strong}" x="{x + cell / 2 - 0.5}" y="{y + 14}">{100 * share:.0f}</text>'
                parts.append(text)
    return Markup(
        f'<svg class="heat" style="max-width: {1.25 * size[0]:.0f}px" viewBox="0 0 {size[0]} {size[1]}" '
        f'role="img" tabindex="0" data-count="{count}" '
        f'aria-label="{html.escape(title)}"><g>' + "".join(parts) + "</g></svg>"
    )


def _shortened(name: str) -> str:
    """A name that leaves room for the picture."""
    return name if cell_len(name) <= _LONGEST_NAME else f"{set_cell_size(name, _LONGEST_NAME - 1).rstrip()}…"
