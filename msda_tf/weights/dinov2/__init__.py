"""Weights of DINOv2."""
