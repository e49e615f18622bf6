"""AtrousResNet: the backbone of DeepLabV2, whose stride stops at 8 while dilation widens the field of view."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from msda_tf.models.layers.atrous import AtrousConv2D
from msda_tf.models.layers.frozen_batch_norm import Affines, FrozenBatchNorm
from msda_tf.models.layers.normalization import convolve, normalization
from msda_tf.models.layers.recompute import recomputed


@dataclass(frozen=True)
class Depth:
    """The size of an AtrousResNet.

    Attributes:
      blocks: number of bottlenecks in stages 1 to 4.
      planes: inner channels of each stage; its output has `expansion` times as many.
      stem: channels of the first convolution (7x7, stride 2).
      expansion: output channels / inner channels.
      pool: whether a 3x3 max pooling of stride 2 follows the stem; without it the output stride is 4 instead of 8.
    """

    blocks: tuple[int, int, int, int]
    planes: tuple[int, int, int, int] = (64, 128, 256, 512)
    stem: int = 64
    expansion: int = 4
    pool: bool = True


DEPTHS = {
    "resnet101": Depth(blocks=(3, 4, 23, 3)),
    "resnet50": Depth(blocks=(3, 4, 6, 3)),
    # Learns miniature scenes from scratch in minutes on a CPU: small images need the finer output stride.
    "tiny": Depth(blocks=(1, 2, 2, 1), planes=(12, 16, 24, 32), stem=16, pool=False),
}

STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)
"""Constant within a stage, its first block included; the stride sits on the first 1x1, as in Caffe's ResNet."""


def make(name: str, *, norm: str, recompute: bool) -> "AtrousResNet":
    """The backbone of a key of `DEPTHS`."""
    return AtrousResNet(DEPTHS[name], norm=norm, recompute=recompute)


class Bottleneck(keras.layers.Layer):
    """1x1 (with the stride) - 3x3 (with the dilation) - 1x1, plus the shortcut: `[B, H, W, I]` to `[B, h, w, O]`."""

    def __init__(self, planes: int, *, expansion: int, stride: int, dilation: int, project: bool, norm: str, **kwargs):
        super().__init__(**kwargs)
        out = planes * expansion
        random = norm == "group"
        self.conv1 = AtrousConv2D(planes, 1, stride=stride, he_normal=random, name="conv1")
        self.bn1 = normalization(norm, planes, "bn1")
        self.conv2 = AtrousConv2D(planes, 3, dilation=dilation, he_normal=random, name="conv2")
        self.bn2 = normalization(norm, planes, "bn2")
        self.conv3 = AtrousConv2D(out, 1, he_normal=random, name="conv3")
        self.bn3 = normalization(norm, out, "bn3")
        self.project = project
        if project:
            self.downsample_conv = AtrousConv2D(out, 1, stride=stride, he_normal=random, name="downsample_conv")
            self.downsample_bn = normalization(norm, out, "downsample_bn")

    def build(self, input_shape):
        # Without this, Keras makes the variables by tracing `call`, several times over.
        inner, out = (*input_shape[:3], self.conv1.filters), (*input_shape[:3], self.conv3.filters)
        shapes = {"conv1": input_shape, "bn1": inner, "conv2": inner, "bn2": inner, "conv3": inner, "bn3": out}
        if self.project:
            shapes |= {"downsample_conv": input_shape, "downsample_bn": out}
        for name, shape in shapes.items():
            getattr(self, name).build(shape)

    def call(self, x, affines: Affines, training=False):
        y = tf.nn.relu(convolve(self.conv1, self.bn1, x, training, affines))
        y = tf.nn.relu(convolve(self.conv2, self.bn2, y, training, affines))
        y = convolve(self.conv3, self.bn3, y, training, affines)
        if self.project:
            x = convolve(self.downsample_conv, self.downsample_bn, x, training, affines)
        return tf.nn.relu(x + y)


class AtrousResNet(keras.Model):
    """ResNet with bottlenecks, stride 8 (4 without the pooling), dilation 2 and 4 in stages 3 and 4.

    Args:
      depth: its size.
      norm: see `msda_tf.models.layers.normalization`.
      recompute: in training, keep only the blocks' outputs and compute the rest again in the backward pass.

    Maps mean-subtracted RGB images `[B, H, W, 3]` (0-255 minus the mean) to the outputs of stages 1 to 4: the last two
    are `[B, h, w, 1024]` and `[B, h, w, 2048]` (for resnet50 and resnet101), where `h = ceil((ceil((H + 1) / 2) ...) /
    8)` as Torch's ceil-mode pooling gives it: 1024x512 images give 129x65 maps.

    Source: L.-C. Chen et al., "DeepLab", PAMI 2018, as in AdaptSegNet (deeplab_multi).
    """

    family = "resnet"

    def __init__(self, depth: Depth, *, norm: str = "frozen", recompute: bool = False, name: str = "backbone"):
        super().__init__(name=name)
        self.recompute, self.depth = recompute, depth
        self.channels = tuple(planes * depth.expansion for planes in depth.planes)
        strides, stride = [], 4 if depth.pool else 2
        for factor in STRIDES:
            stride *= factor
            strides.append(stride)
        self.strides = tuple(strides)
        self.conv1 = AtrousConv2D(depth.stem, 7, stride=2, he_normal=norm == "group", name="conv1")
        self.bn1 = normalization(norm, depth.stem, "bn1")
        self.stages = [
            [
                Bottleneck(
                    depth.planes[stage],
                    expansion=depth.expansion,
                    stride=STRIDES[stage] if block == 0 else 1,
                    dilation=DILATIONS[stage],
                    project=block == 0,
                    norm=norm,
                    name=f"layer{stage + 1}_{block}",
                )
                for block in range(depth.blocks[stage])
            ]
            for stage in range(4)
        ]
        # tf.train.Checkpoint follows attributes but not Keras' lists: without these names it would save no block.
        for block in (block for stage in self.stages for block in stage):
            setattr(self, block.name, block)

    def build(self, input_shape):
        self.conv1.build(input_shape)
        shape = (None, None, None, self.depth.stem)
        self.bn1.build(shape)
        for stage, blocks in enumerate(self.stages):
            for block in blocks:
                block.build(shape)
                shape = (None, None, None, self.depth.planes[stage] * self.depth.expansion)

    def call(self, images, training=False):
        affines = Affines([norm for _, norm in self.foldable()], training)
        x = tf.nn.relu(convolve(self.conv1, self.bn1, images, training, affines))
        if self.depth.pool:
            # Ceil-mode pooling: one row and column more after than before. Zeros are no maximum after a ReLU.
            x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 2], [1, 2], [0, 0]]), 3, 2, "VALID")
        maps = []
        for stage in self.stages:
            for block in stage:
                again = self.recompute and training
                arguments = {"affines": affines, "training": training}
                x = recomputed(block, x, **arguments) if again else block(x, **arguments)
            maps.append(x)
        return maps

    def foldable(self) -> list[tuple[AtrousConv2D, FrozenBatchNorm]]:
        """(convolution, BatchNorm after it); empty with GroupNorm."""
        if not isinstance(self.bn1, FrozenBatchNorm):
            return []
        pairs = [(self.conv1, self.bn1)]
        for block in (block for stage in self.stages for block in stage):
            pairs += [(block.conv1, block.bn1), (block.conv2, block.bn2), (block.conv3, block.bn3)]
            if block.project:
                pairs.append((block.downsample_conv, block.downsample_bn))
        return pairs
