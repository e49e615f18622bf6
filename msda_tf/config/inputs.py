"""How a data set's images reach the networks: their size, and the mean that is subtracted."""

from collections.abc import Mapping

from msda_tf.config.train_config import TrainConfig
from msda_tf.data.manifest import Manifest
from msda_tf.methods import METHODS

IMAGENET_MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)
"""The mean that AdaptSegNet subtracts from every image (RGB, 0-255)."""


def image_mean(config: TrainConfig, manifest: Manifest) -> tuple[float, float, float]:
    """The RGB mean, 0-255, that is subtracted from a data set's images."""
    return IMAGENET_MEAN_RGB if config.mean == "imagenet" else manifest.mean_rgb


def height_and_width(size: tuple[int, int] | None) -> tuple[int, int] | None:
    """A setting's [width, height] as (height, width); None stays."""
    return None if size is None else (size[1], size[0])


def input_size(config: TrainConfig, manifest: Manifest) -> tuple[int, int]:
    """(height, width) at which the network sees a data set's images in training."""
    fixed = config.target_size if manifest.name in config.targets else config.source_size
    if fixed is not None:
        return height_and_width(fixed)
    return max(1, round(manifest.height * config.scale)), max(1, round(manifest.width * config.scale))


def crop_size(config: TrainConfig, manifests: Mapping[str, Manifest]) -> tuple[int, int] | None:
    """(height, width) of training crops, or None if images are not cropped.

    Args:
      config: of the run.
      manifests: of its sources and targets, by name.
    """
    if config.crop is not None:
        return height_and_width(config.crop)
    sizes = {input_size(config, manifest) for manifest in manifests.values()}
    # Images of two domains are mixed pixel by pixel.
    if METHODS[config.method].teacher and len(sizes) > 1:
        return min(height for height, _ in sizes), min(width for _, width in sizes)
    return None


def compares_at_input(config: TrainConfig) -> bool:
    """Whether labels are brought to the size of the network's input, rather than its maps to theirs."""
    return config.loss_at == "input" or config.crop is not None or METHODS[config.method].teacher
