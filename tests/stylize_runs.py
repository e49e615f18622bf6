"""Stylize runs small enough for a test."""

import numpy as np
from seeded import seeded

from msda_tf.stylize import config as configuration
from msda_tf.stylize.unit.networks import Unit

TINY = {"crop": 64, "channels": 2, "blocks": 1, "discriminator_channels": 2, "evaluate_images": 2, "preview_images": 2}


def config(data, **settings):
    """gta5 to cityscapes with crops of 64, the preset miniature otherwise, and no evaluation unless asked for."""
    settings = {"source": "gta5", "target": "cityscapes", "data": str(data), "evaluate_every": 0, **TINY, **settings}
    return configuration.resolve(preset="miniature", settings=settings)[0]


def networks(*, blocks: int = 1, discriminator_channels: int = 4) -> Unit:
    """UNIT's networks of 4 channels with weights that are always the same."""
    unit = Unit(channels=4, blocks=blocks, discriminator_channels=discriminator_channels)
    unit.create_variables()
    for number, variable in enumerate(unit.trainable_variables):
        shape = tuple(variable.shape)
        gain = (2 / np.prod(shape[:3])) ** 0.5 if len(shape) == 4 else 0.3
        variable.assign(seeded(f"unit {number}", shape) * gain + (0.8 if "gamma" in variable.path else 0))
    return unit
