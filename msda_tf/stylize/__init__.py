"""Pixel-level adaptation: source images re-styled to look like the target's, by UNIT."""
