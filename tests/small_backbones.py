"""A backbone of each family, small enough for a test: what makes it, as `MultiSourceSegmenter` takes it."""

import functools

from networks import SMALL

from msda_tf.models.backbones.atrous_resnet import AtrousResNet
from msda_tf.models.backbones.efficientnet_lite import EfficientNetLite, Stage

LITE_STAGES = (
    Stage(1, 3, 1, 1, 8),
    Stage(2, 3, 2, 2, 16),
    Stage(1, 5, 2, 3, 24),
    Stage(2, 3, 2, 2, 32),
    Stage(2, 5, 1, 2, 40),
    Stage(2, 5, 2, 2, 48),
    Stage(1, 3, 1, 2, 56),
)

SMALL_BACKBONES = {
    "resnet": functools.partial(AtrousResNet, SMALL),
    "efficientnet-lite": functools.partial(EfficientNetLite, LITE_STAGES),
}
