"""What a file's tensors become in this project's network, before anything is assigned."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Candidate:
    """A value for one variable.

    Attributes:
      value: in this project's layout (kernels `[H, W, I, O]`, images RGB minus their mean, 0-255).
      key: of the tensor in the file.
      how: "copied", "transposed" (the same numbers in another order), or "folded" (numbers changed: another input
        scale, channel order or epsilon, a bias taken up by BatchNorm).
    """

    value: np.ndarray
    key: str
    how: str


@dataclass
class Conversion:
    """A file, translated.

    Attributes:
      kind: of the file, for people.
      candidates: by variable: its path without the model's own name, such as "backbone/layer1_0/conv2/kernel".
      unused: keys of the file for which this project has no place.
      notes: what a person should know about these weights.
      tuned_on_streets: whether they were tuned on as many classes as Cityscapes has, and so may know a target's labels.
    """

    kind: str
    candidates: dict[str, Candidate] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tuned_on_streets: bool = False
