"""Confusion matrices, Max Merge, protocols and reports."""
