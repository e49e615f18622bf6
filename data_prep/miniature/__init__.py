"""Miniature: street scenes drawn by a procedure, in the formats of three published data sets."""
