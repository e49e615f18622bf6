"""Backbones small enough for a test."""

from msda_tf.models.backbones.efficientnet_lite import Stage

LITE_STAGES = (
    Stage(1, 3, 1, 1, 8),
    Stage(2, 3, 2, 2, 16),
    Stage(1, 5, 2, 3, 24),
    Stage(2, 3, 2, 2, 32),
    Stage(2, 5, 1, 2, 40),
    Stage(2, 5, 2, 2, 48),
    Stage(1, 3, 1, 2, 56),
)
"""An EfficientNet-Lite with every kind of block."""
