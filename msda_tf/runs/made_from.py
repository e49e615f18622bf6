"""What a model was made from."""

import pathlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Checkpoint:
    """Which weights a network got.

    Attributes:
      network: the folder "RUN/networks/NAME".
      step: number of finished training steps.
      steps: how many the run is to have.
      best: whether it was selected by its score on the target's labels.
    """

    network: pathlib.Path
    step: int
    steps: int
    best: bool
