"""What an import did, variable by variable."""

from collections import Counter
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from msda_tf.printable import printable

_SHOWN = 6


@dataclass(frozen=True)
class Match:
    """A variable that got its value from a file.

    Attributes:
      variable: such as "backbone/layer1_0/conv2/kernel".
      key: of the tensor in the file.
      how: "copied", "transposed" (the same numbers in another order) or "folded" (numbers changed: another input scale,
        channel order or epsilon, a bias taken up by BatchNorm, a convolution that was never trained).
    """

    variable: str
    key: str
    how: str


@dataclass(frozen=True)
class ImportReport:
    """What `msda_tf.weights.initialize` did; `print` gives one line, `rich.print` tables.

    Attributes:
      source: the file, or the run.
      sha256: of the file; of a run's checkpoint, that of its checkpoint.json.
      kind: what it was recognised as.
      matched: every variable that was set.
      missing: variables that keep their random start.
      unused: keys of the file that were not used.
      notes: what a person should know about these weights.
    """

    source: str
    sha256: str
    kind: str
    matched: tuple[Match, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]

    def share(self, part: str) -> tuple[int, int]:
        """(matched, all) variables of "backbone", "classifiers" or "discriminators"."""
        matched = sum(_part(match.variable) == part for match in self.matched)
        return matched, matched + sum(_part(variable) == part for variable in self.missing)

    @property
    def backbone_share(self) -> float:
        """Matched part of the backbone's variables, 0 to 1."""
        matched, total = self.share("backbone")
        return matched / total

    def described(self) -> dict:
        """JSON-ready, for run.json: which weights these were, and how much of the network they set."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "kind": self.kind,
            "variables": self._shares(),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        parts = [f"{part} {matched}/{total}" for part, (matched, total) in self._shares().items()]
        text = f"starting weights from {self.source} ({self.kind}): {', '.join(parts)}; {len(self.unused)} unused keys"
        return "; ".join([text, *self.notes])

    def __rich__(self) -> Group:
        counts = Counter((_part(match.variable), match.how) for match in self.matched)
        table = Table("variables", title=Text(printable(f"{self.source}: {self.kind}")), title_justify="left")
        for column in ("copied", "transposed", "folded", "missing", "all"):
            table.add_column(column, justify="right")
        for part, (matched, total) in self._shares().items():
            ways = [str(counts[part, how]) for how in ("copied", "transposed", "folded")]
            table.add_row(part, *ways, str(total - matched), str(total))
        lines = [_listed("missing", self.missing), _listed("unused", self.unused), *self.notes]
        return Group(table, *(Text(printable(line)) for line in lines if line))

    def _shares(self):
        shares = {part: self.share(part) for part in ("backbone", "classifiers", "discriminators")}
        return {part: share for part, share in shares.items() if share[1]}


def _part(variable: str) -> str:
    if variable.startswith("backbone/"):
        return "backbone"
    return "discriminators" if "/discriminator_" in variable else "classifiers"


def _listed(title: str, names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{title}: {', '.join(names[:_SHOWN])}{more}"
