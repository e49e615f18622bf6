"""A run as it is compared with others, and what differs between such."""

from collections.abc import Sequence
from dataclasses import dataclass

from msda_tf import config as configuration
from msda_tf.evaluation.metrics import Metrics
from msda_tf.evaluation.protocol import Scores
from msda_tf.report.curves import Curve
from msda_tf.runs import Run


@dataclass(frozen=True)
class Compared:
    """One run as it is compared.

    Attributes:
      name: by which it is shown.
      run: it.
      select: how its checkpoint was chosen.
      steps: of its networks' weights.
      column: which of its branches and merges is compared.
      metrics: all of them.
      notes: what whoever sees the scores must know.
      curves: of its training.
    """

    name: str
    run: Run
    select: str
    steps: tuple[int, ...]
    column: str
    metrics: Metrics
    notes: tuple[str, ...]
    curves: tuple[Curve, ...]

    @property
    def scores(self) -> Scores:
        """Of the column that is compared."""
        return self.metrics.scores(self.column)


def differences(found: Sequence[Compared]) -> dict[str, list]:
    """Settings and versions of packages that are not the same in all runs: name -> value of each run."""
    settings = [configuration.to_dict(each.run.config) for each in found]
    versions = [each.run.info.get("provenance", {}).get("packages", {}) for each in found]
    rows = {key: [each.get(key) for each in settings] for key in settings[0]}
    rows |= {f"version of {key}": [each.get(key) for each in versions] for key in {k: 0 for v in versions for k in v}}
    rows["checkpoint"] = [each.select for each in found]
    rows["step"] = [", ".join(map(str, each.steps)) for each in found]
    return {key: values for key, values in rows.items() if any(value != values[0] for value in values)}


def gains(first: Compared, other: Compared) -> dict[str, float | None]:
    """Class -> by how much its IoU is higher than the first run's."""
    below, above = first.scores.iou, other.scores.iou
    return {name: None if None in (below[name], above[name]) else above[name] - below[name] for name in below}
