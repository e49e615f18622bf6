"""Starting weights: from ImageNet, from published checkpoints, from other frameworks, from other runs."""

from msda_tf.weights.initialize import initialize
from msda_tf.weights.report import ImportReport, Match

__all__ = ["ImportReport", "Match", "initialize"]
