"""EfficientNet-Lite 0 to 4: small networks without squeeze-and-excitation, whose stride stops at 8 or 16."""

import math
from dataclasses import dataclass

import keras
import tensorflow as tf

from msda_tf.models.layers.frozen_batch_norm import Affines, FrozenBatchNorm
from msda_tf.models.layers.normalization import convolve, normalization
from msda_tf.models.layers.recompute import recomputed

EPSILON = 1e-3
"""Of BatchNorm, as the published weights were trained."""

INPUT_STD = 128.0
"""Published preprocessing: (RGB - 127) / 128. The mean is subtracted before, the data set's own or ImageNet's."""

STEM = 32
"""Channels of the first convolution, 3x3 of stride 2, in every size."""


@dataclass(frozen=True)
class Stage:
    """Inverted bottlenecks of one kind in a row.

    Attributes:
      repeats: number of blocks.
      kernel: side of the depthwise convolutions.
      stride: of the first block.
      expansion: inner channels / input channels.
      channels: of the output.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""Of Lite0."""

SIZES = {
    "efficientnet-lite0": (1.0, 1.0),
    "efficientnet-lite1": (1.0, 1.1),
    "efficientnet-lite2": (1.1, 1.2),
    "efficientnet-lite3": (1.2, 1.4),
    "efficientnet-lite4": (1.4, 1.8),
}
"""Factors of width (channels) and depth (blocks of a stage)."""

MAPS = (1, 2, 4, 6)
"""Stages whose outputs are the four maps: of stride 4, 8, 16 and 32 without dilation."""


def make(name: str, *, norm: str, recompute: bool, output_stride: int = 8) -> "EfficientNetLite":
    """The backbone of a key of `SIZES`."""
    return EfficientNetLite(scaled(*SIZES[name]), output_stride=output_stride, norm=norm, recompute=recompute)


def scaled(width: float, depth: float) -> tuple[Stage, ...]:
    """The stages of a size: channels in multiples of 8, repeats rounded up except in the first and last stage."""
    stages = []
    for number, stage in enumerate(STAGES):
        channels = int(stage.channels * width + 4) // 8 * 8
        if channels < 0.9 * stage.channels * width:
            channels += 8
        inner = 0 < number < len(STAGES) - 1
        repeats = math.ceil(stage.repeats * depth) if inner else stage.repeats
        stages.append(Stage(repeats, stage.kernel, stage.stride, stage.expansion, channels))
    return tuple(stages)


def convolution(filters: int, name: str, *, kernel: int = 1, stride: int = 1) -> keras.layers.Conv2D:
    """Without bias, and with TensorFlow's padding, which the weights were trained on."""
    return keras.layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )


class InvertedBottleneck(keras.layers.Layer):
    """1x1 (wider) - depthwise - 1x1 (narrower, no ReLU), plus the input where shapes agree: MobileNetV2's block.

    Args:
      channels: of the input.
      stage: whose block this is.
      stride: of the depthwise convolution.
      dilation: of the depthwise convolution.
      norm: see `msda_tf.models.layers.normalization`.

    Maps `[B, H, W, channels]` to `[B, ceil(H / stride), ceil(W / stride), stage.channels]`.
    """

    def __init__(self, channels: int, stage: Stage, *, stride: int, dilation: int, norm: str, **kwargs):
        super().__init__(**kwargs)
        inner = channels * stage.expansion
        self.shortcut = stride == 1 and channels == stage.channels
        self.expand = stage.expansion != 1
        if self.expand:
            self.expand_conv = convolution(inner, "expand_conv")
            self.expand_bn = normalization(norm, inner, "expand_bn", epsilon=EPSILON)
        self.depthwise_conv = keras.layers.DepthwiseConv2D(
            stage.kernel, stride, padding="same", dilation_rate=dilation, use_bias=False, name="depthwise_conv",
            # Its kernels see one channel: he_normal would take all of them for inputs.
            depthwise_initializer=keras.initializers.RandomNormal(stddev=(2 / stage.kernel**2) ** 0.5),
        )  # fmt: skip
        self.depthwise_bn = normalization(norm, inner, "depthwise_bn", epsilon=EPSILON)
        self.project_conv = convolution(stage.channels, "project_conv")
        self.project_bn = normalization(norm, stage.channels, "project_bn", epsilon=EPSILON)

    def build(self, input_shape):
        shape = tuple(input_shape)
        for conv, norm in self.pairs():
            conv.build(shape)
            if conv is not self.depthwise_conv:
                shape = (None, None, None, conv.filters)
            norm.build((None, None, None, shape[-1]))

    def pairs(self) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
        """Each convolution with the normalisation after it, in order."""
        pairs = [(self.expand_conv, self.expand_bn)] if self.expand else []
        return [*pairs, (self.depthwise_conv, self.depthwise_bn), (self.project_conv, self.project_bn)]

    def call(self, x, affines: Affines, training=False):
        y = x
        if self.expand:
            y = tf.nn.relu6(convolve(self.expand_conv, self.expand_bn, y, training, affines))
        y = tf.nn.relu6(convolve(self.depthwise_conv, self.depthwise_bn, y, training, affines))
        y = convolve(self.project_conv, self.project_bn, y, training, affines)
        return x + y if self.shortcut else y


class EfficientNetLite(keras.Model):
    """EfficientNet-Lite without its classifier and the 1x1 convolution before it.

    Args:
      stages: seven, as `scaled` gives them.
      output_stride: 32, 16 or 8: where it would grow further, the stride is left out and the following depthwise
        convolutions are dilated instead. On its grid the dilated network computes the published one's features.
      norm: see `msda_tf.models.layers.normalization`.
      recompute: in training, keep only the blocks' outputs and compute the rest again in the backward pass.

    Maps RGB images minus their mean (0-255) `[B, H, W, 3]` to the outputs of stages 2, 3, 5 and 7, of stride 4, 8, 16
    and 32 or `output_stride` where that is smaller: `[B, ceil(H / stride), ceil(W / stride), C]`.

    Source: R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020; M. Tan, Q. Le,
    "EfficientNet", ICML 2019.
    """

    family = "efficientnet-lite"

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        output_stride: int = 8,
        norm: str = "frozen",
        recompute: bool = False,
        name: str = "backbone",
    ):
        super().__init__(name=name)
        self.recompute, self.stages = recompute, stages
        self.stem_conv = convolution(STEM, "stem_conv", kernel=3, stride=2)
        self.stem_bn = normalization(norm, STEM, "stem_bn", epsilon=EPSILON)
        self.blocks, strides = [], []
        channels, total, dilation = STEM, 2, 1
        for stage in stages:
            stride = stage.stride if total * stage.stride <= output_stride else 1
            # The first block still sees neighbours as far apart as the stage before: the stride would come after it.
            following = dilation * stage.stride // stride
            for number in range(stage.repeats):
                first = number == 0
                block = InvertedBottleneck(
                    channels,
                    stage,
                    stride=stride if first else 1,
                    dilation=dilation if first else following,
                    norm=norm,
                    name=f"block_{len(self.blocks)}",
                )
                self.blocks.append(block)
                # tf.train.Checkpoint follows attributes but not Keras' lists: without these it would save no block.
                setattr(self, block.name, block)
                channels = stage.channels
            total, dilation = total * stride, following
            strides.append(total)
        self.channels = tuple(stages[number].channels for number in MAPS)
        self.strides = tuple(strides[number] for number in MAPS)
        ends = [sum(stage.repeats for stage in stages[: number + 1]) - 1 for number in range(len(stages))]
        self.map_blocks = tuple(ends[number] for number in MAPS)

    def build(self, input_shape):
        self.stem_conv.build(tuple(input_shape))
        shape = (None, None, None, STEM)
        self.stem_bn.build(shape)
        for block in self.blocks:
            block.build(shape)
            shape = (None, None, None, block.project_conv.filters)

    def call(self, images, training=False):
        x = images / INPUT_STD
        affines = Affines([norm for _, norm in self.foldable()], training)
        x = tf.nn.relu6(convolve(self.stem_conv, self.stem_bn, x, training, affines))
        maps = []
        for number, block in enumerate(self.blocks):
            again = self.recompute and training
            arguments = {"affines": affines, "training": training}
            x = recomputed(block, x, **arguments) if again else block(x, **arguments)
            if number in self.map_blocks:
                maps.append(x)
        return maps

    def foldable(self) -> list[tuple[keras.layers.Layer, FrozenBatchNorm]]:
        """(convolution, BatchNorm after it); empty with GroupNorm."""
        pairs = [(self.stem_conv, self.stem_bn), *(pair for block in self.blocks for pair in block.pairs())]
        return pairs if isinstance(self.stem_bn, FrozenBatchNorm) else []
