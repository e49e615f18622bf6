"""Stylize runs small enough for a test."""

from msda_tf.stylize import config as configuration

TINY = {"crop": 64, "channels": 2, "blocks": 1, "discriminator_channels": 2, "evaluate_images": 2, "preview_images": 2}


def config(data, **settings):
    """gta5 to cityscapes with crops of 64, the preset miniature otherwise, and no evaluation unless asked for."""
    settings = {"source": "gta5", "target": "cityscapes", "data": str(data), "evaluate_every": 0, **TINY, **settings}
    return configuration.resolve(preset="miniature", settings=settings)[0]
