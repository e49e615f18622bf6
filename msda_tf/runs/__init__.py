"""Run directories: what was trained, on what, with what, and how far it came."""

from msda_tf.runs.provenance import provenance
from msda_tf.runs.run import Run, check_same, create, exists, read, refuse_changes

__all__ = ["Run", "check_same", "create", "exists", "provenance", "read", "refuse_changes"]
