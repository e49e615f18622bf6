"""Whole tables of runs: what must be trained, training it, and the scores beside the paper's."""
