"""How a data set's images reach the networks: their size, and the mean that is subtracted."""

from msda_tf.config.train_config import TrainConfig
from msda_tf.data.manifest import Manifest

IMAGENET_MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)
"""The mean that AdaptSegNet subtracts from every image (RGB, 0-255)."""


def image_mean(config: TrainConfig, manifest: Manifest) -> tuple[float, float, float]:
    """The RGB mean, 0-255, that is subtracted from a data set's images."""
    return IMAGENET_MEAN_RGB if config.mean == "imagenet" else manifest.mean_rgb


def input_size(config: TrainConfig, manifest: Manifest) -> tuple[int, int]:
    """(height, width) at which the network sees a data set's images in training."""
    fixed = config.target_size if manifest.name == config.target else config.source_size
    if fixed is not None:
        return fixed[1], fixed[0]
    return max(1, round(manifest.height * config.scale)), max(1, round(manifest.width * config.scale))
