"""MiT-B0 to B5: SegFormer's encoder, a transformer whose maps have strides 4, 8, 16 and 32."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from msda_tf.models.layers.attention import attend, dense, layer_norm
from msda_tf.models.layers.recompute import recomputed

INPUT_STD = (58.395, 57.12, 57.375)
"""Of ImageNet's RGB, 0-255: what the published weights expect their input to be divided by."""

EPSILON = 1e-6
"""Of the layer normalisations in and after blocks; those of embeddings and reduced maps have 1e-5."""

STRIDES = (4, 8, 16, 32)
REDUCTIONS = (8, 4, 2, 1)
"""Stride at which each stage's keys and values are taken."""


@dataclass(frozen=True)
class Size:
    """The size of a MiT.

    Attributes:
      channels: of each stage.
      depths: blocks of each stage.
      heads: of each stage's attention.
    """

    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int] = (1, 2, 5, 8)


_WIDE = (64, 128, 320, 512)
SIZES = {
    "mit-b5": Size(_WIDE, (3, 6, 40, 3)),
    "mit-b4": Size(_WIDE, (3, 8, 27, 3)),
    "mit-b3": Size(_WIDE, (3, 4, 18, 3)),
    "mit-b2": Size(_WIDE, (3, 4, 6, 3)),
    "mit-b1": Size(_WIDE, (2, 2, 2, 2)),
    "mit-b0": Size((32, 64, 160, 256), (2, 2, 2, 2)),
}


def make(name: str, *, norm: str, recompute: bool) -> "MiT":
    """The backbone of a key of `SIZES`. It has layer normalisation alone: `norm` is for other backbones."""
    del norm
    return MiT(SIZES[name], recompute=recompute)


class Embedding(keras.layers.Layer):
    """Overlapping patches: a convolution with a stride and Torch's padding, then layer normalisation.

    Maps `[B, H, W, I]` to `[B, ceil(H / stride), ceil(W / stride), channels]`.
    """

    def __init__(self, channels: int, *, kernel: int, stride: int, **kwargs):
        super().__init__(**kwargs)
        self.pad = kernel // 2
        self.projection = keras.layers.Conv2D(
            channels, kernel, stride, padding="valid", kernel_initializer="he_normal", name="projection"
        )
        self.norm = layer_norm(1e-5, "norm")

    def build(self, input_shape):
        self.projection.build(tuple(input_shape))
        self.norm.build((None, None, None, self.projection.filters))

    def call(self, x):
        return self.norm(self.projection(tf.pad(x, [[0, 0], [self.pad] * 2, [self.pad] * 2, [0, 0]])))


class Block(keras.layers.Layer):
    """Attention to a coarser copy of the map, then Mix-FFN, whose depthwise 3x3 takes the place of positions.

    Args:
      channels: C.
      heads: of the attention.
      reduction: stride of the copy that keys and values are made of.

    Maps `[B, H, W, C]` to the same shape.
    """

    def __init__(self, channels: int, *, heads: int, reduction: int, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.heads, self.reduction = channels, heads, reduction
        self.norm1 = layer_norm(EPSILON, "norm1")
        self.query, self.key = dense(channels, "query"), dense(channels, "key")
        self.value, self.project = dense(channels, "value"), dense(channels, "project")
        if reduction > 1:
            self.reduce = keras.layers.Conv2D(
                channels, reduction, reduction, padding="valid", kernel_initializer="he_normal", name="reduce"
            )
            self.reduce_norm = layer_norm(1e-5, "reduce_norm")
        self.norm2 = layer_norm(EPSILON, "norm2")
        self.expand = dense(4 * channels, "expand")
        self.depthwise = keras.layers.DepthwiseConv2D(
            3, padding="same", name="depthwise", depthwise_initializer=keras.initializers.RandomNormal(stddev=0.47)
        )
        self.contract = dense(channels, "contract")

    def build(self, input_shape):
        shape, wide = (None, None, None, self.channels), (None, None, None, 4 * self.channels)
        for layer in (self.norm1, self.query, self.key, self.value, self.project, self.norm2, self.expand):
            layer.build(shape)
        if self.reduction > 1:
            self.reduce.build(shape)
            self.reduce_norm.build(shape)
        self.depthwise.build(wide)
        self.contract.build(wide)

    def call(self, x, training=False):
        x = x + self._attention(self.norm1(x))
        return x + self.contract(tf.nn.gelu(self.depthwise(self.expand(self.norm2(x)))))

    def _attention(self, x):
        coarse = x
        if self.reduction > 1:
            coarse = self.reduce_norm(self.reduce(self._at_least_one_cell(x)))
        mixed = attend(*map(_tokens, (self.query(x), self.key(coarse), self.value(coarse))), self.heads)
        return self.project(tf.reshape(mixed, tf.shape(x) if None in x.shape[:3] else x.shape))

    def _at_least_one_cell(self, x):
        """Zeros below and to the right of a map that is smaller than the reduction, which Torch refuses."""
        if None not in x.shape[1:3]:
            height, width = (max(0, self.reduction - side) for side in x.shape[1:3])
            return tf.pad(x, [[0, 0], [0, height], [0, width], [0, 0]]) if height or width else x
        missing = tf.maximum(self.reduction - tf.shape(x)[1:3], 0)
        return tf.pad(x, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])


def _tokens(x):
    """`[B, H, W, C]` to `[B, H * W, C]`."""
    shape = tf.shape(x)
    batch, height, width = (shape[i] if x.shape[i] is None else x.shape[i] for i in range(3))
    return tf.reshape(x, [batch, height * width, x.shape[-1]])


class MiT(keras.Model):
    """SegFormer's encoder, for images of any size and shape.

    Args:
      size: its size.
      recompute: in training, keep only the blocks' outputs and compute the rest again in the backward pass.

    Maps RGB images minus their mean (0-255) `[B, H, W, 3]` to the normalised outputs of the four stages,
    `[B, ceil(H / stride), ceil(W / stride), C]` with strides 4, 8, 16 and 32. No stochastic depth.

    Source: E. Xie et al., "SegFormer", NeurIPS 2021.
    """

    family = "mit"

    def __init__(self, size: Size, *, recompute: bool = False, name: str = "backbone"):
        super().__init__(name=name)
        self.size, self.recompute = size, recompute
        self.channels, self.strides = size.channels, STRIDES
        self.stages = []
        for stage, channels in enumerate(size.channels):
            embedding = Embedding(
                channels, kernel=3 if stage else 7, stride=2 if stage else 4, name=f"embedding_{stage + 1}"
            )
            blocks = [
                Block(
                    channels, heads=size.heads[stage], reduction=REDUCTIONS[stage], name=f"block_{stage + 1}_{number}"
                )
                for number in range(size.depths[stage])
            ]
            norm = layer_norm(EPSILON, f"norm_{stage + 1}")
            self.stages.append((embedding, blocks, norm))
            # tf.train.Checkpoint follows attributes but not Keras' lists.
            for layer in (embedding, *blocks, norm):
                setattr(self, layer.name, layer)

    def build(self, input_shape):
        shape = tuple(input_shape)
        for (embedding, blocks, norm), channels in zip(self.stages, self.channels, strict=True):
            embedding.build(shape)
            shape = (None, None, None, channels)
            for layer in (*blocks, norm):
                layer.build(shape)

    def call(self, images, training=False):
        x, maps = images / tf.constant(INPUT_STD, images.dtype), []
        for embedding, blocks, norm in self.stages:
            x = embedding(x)
            for block in blocks:
                again = self.recompute and training
                x = recomputed(block, x, training=True) if again else block(x, training=training)
            x = norm(x)
            maps.append(x)
        return maps

    def groups(self) -> list[list[keras.Variable]]:
        """The variables from the input to the output, block by block, embeddings and norms with their neighbours."""
        found = []
        for embedding, blocks, norm in self.stages:
            groups = [list(block.variables) for block in blocks]
            groups[0] = [*embedding.variables, *groups[0]]
            groups[-1] += norm.variables
            found += groups
        return found

    def foldable(self) -> list:
        """Nothing: layer normalisation depends on the image."""
        return []
