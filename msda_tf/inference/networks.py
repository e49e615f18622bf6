"""The networks that a configuration describes: made with fresh weights, and wrapped as inference runs them."""

import contextlib
import functools

import keras

from msda_tf.config import TrainConfig
from msda_tf.config.branches import NetworkPlan
from msda_tf.config.inputs import height_and_width
from msda_tf.inference.members import Member
from msda_tf.methods import METHODS
from msda_tf.models import backbones
from msda_tf.models.segmenter import MultiSourceSegmenter


def build_segmenter(
    config: TrainConfig, network: NetworkPlan, num_classes: int, *, discriminators: bool = True
) -> MultiSourceSegmenter:
    """A network with fresh weights (call it inside the strategy's scope); the same seed gives the same weights.

    Args:
      config: of the run.
      network: which of its networks.
      num_classes: C.
      discriminators: False leaves them out, as inference does not need them.
    """
    keras.utils.set_random_seed(config.seed)
    discriminators = discriminators and METHODS[config.method].discriminators
    with dtype_policy(config.precision):
        segmenter = MultiSourceSegmenter(
            branches=network.branches,
            num_classes=num_classes,
            backbone=functools.partial(backbones.make, config.backbone, output_stride=config.output_stride),
            decoder=config.decoder,
            norm=config.norm,
            rates=config.aspp_rates,
            discriminators=config.discriminators if discriminators else "none",
            discriminator_width=config.discriminator_width,
            recompute=config.recompute,
            name="segmenter",
        )
        segmenter.create_variables()
        segmenter.backbone.trainable = not config.freeze_backbone
    return segmenter


def member(
    config: TrainConfig, segmenter: MultiSourceSegmenter, *, mean, branches: dict[str, str], source: bool = False
) -> Member:
    """The network as inference runs it: with the configuration's level, and its input size of the target's images.

    With `source`, it takes images as large as a source's were in training.
    """
    fixed = config.source_size if source else config.target_size
    return Member(
        segmenter=segmenter,
        branches=branches,
        mean=mean,
        scale=config.scale,
        size=height_and_width(fixed),
        level=config.merge_level,
        align_corners=config.align_corners,
        window=height_and_width(config.window),
    )


@contextlib.contextmanager
def dtype_policy(name: str):
    """Keras' global dtype policy for the layers made in the block."""
    old = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(old)
