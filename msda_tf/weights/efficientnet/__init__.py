"""Weights of EfficientNet-Lite."""
