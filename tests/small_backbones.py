"""Backbones small enough for a test."""

from msda_tf.models.backbones.dinov2 import Size as DinoSize
from msda_tf.models.backbones.efficientnet_lite import Stage
from msda_tf.models.backbones.mit import Size as MitSize

DINO = DinoSize(width=24, depth=4, heads=3, registers=1, table=5)
MIT = MitSize(channels=(8, 8, 16, 16), depths=(2, 1, 1, 1), heads=(1, 2, 2, 4))

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
