"""Run directories: what was trained, on what, with what, and how far it came."""

from msda_tf.runs.directory import Run, check_same, create, describe_datasets, exists, read, refuse_changes
from msda_tf.runs.provenance import provenance

__all__ = ["Run", "check_same", "create", "describe_datasets", "exists", "provenance", "read", "refuse_changes"]
