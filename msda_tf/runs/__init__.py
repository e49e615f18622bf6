"""Run directories: what was trained, on what, with what, and how far it came."""

from msda_tf.runs.provenance import other_versions, provenance
from msda_tf.runs.run import (
    Run,
    as_begun,
    check_same,
    create,
    exists,
    note_starting_weights,
    packages,
    read,
    refuse_changes,
)

__all__ = [
    "Run",
    "as_begun",
    "check_same",
    "create",
    "exists",
    "note_starting_weights",
    "other_versions",
    "packages",
    "provenance",
    "read",
    "refuse_changes",
]
