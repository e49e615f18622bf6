"""Where the trainer leaves what it makes of one network. Without TensorFlow."""

import pathlib
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingFolder:
    """One network's folder; TensorBoard's event files lie in it too.

    Attributes:
      path: the folder.
    """

    path: pathlib.Path

    @property
    def checkpoints(self) -> pathlib.Path:
        """The folder of `msda_tf.training.checkpoints`."""
        return self.path / "checkpoints"

    @property
    def log(self) -> pathlib.Path:
        """Losses and scores by step: see `msda_tf.training.log`."""
        return self.path / "metrics.jsonl"

    @property
    def pictures(self) -> pathlib.Path:
        """The folder of pictures that evaluations during training kept: `step-00001000-NAME.png`."""
        return self.path / "pictures"

    @property
    def progress(self) -> pathlib.Path:
        """The step of the newest checkpoint ever written: see `msda_tf.training.progress`."""
        return self.path / "progress.json"
