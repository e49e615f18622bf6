"""DINOv2 S, B and L, with and without registers: vision transformers that learned from images without labels."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from msda_tf.models.layers.attention import attend, dense, layer_norm
from msda_tf.models.layers.bicubic import resize_table
from msda_tf.models.layers.recompute import recomputed

INPUT_STD = (58.395, 57.12, 57.375)
"""Of ImageNet's RGB, 0-255: what the published weights expect their input to be divided by."""

PATCH = 14
EPSILON = 1e-6


@dataclass(frozen=True)
class Size:
    """The size of a DINOv2.

    Attributes:
      width: channels of a token.
      depth: blocks, four at least.
      heads: of the attention.
      registers: tokens beside those of patches.
      table: side of the table of positions; 37 for the published ones, which saw 518x518 at last.
    """

    width: int
    depth: int
    heads: int
    registers: int = 0
    table: int = 37


SIZES = {
    "dinov2-l-registers": Size(1024, 24, 16, registers=4),
    "dinov2-l": Size(1024, 24, 16),
    "dinov2-b-registers": Size(768, 12, 12, registers=4),
    "dinov2-b": Size(768, 12, 12),
    "dinov2-s-registers": Size(384, 12, 6, registers=4),
    "dinov2-s": Size(384, 12, 6),
}


def make(name: str, *, norm: str, recompute: bool) -> "DinoV2":
    """The backbone of a key of `SIZES`. It has layer normalisation alone: `norm` is for other backbones."""
    del norm
    return DinoV2(SIZES[name], recompute=recompute)


class Block(keras.layers.Layer):
    """Attention and two linear layers, each normalised before and scaled channel by channel after: `[B, N, C]` to same.

    Args:
      width: C.
      heads: of the attention.
    """

    def __init__(self, width: int, heads: int, **kwargs):
        super().__init__(**kwargs)
        self.width, self.heads = width, heads
        self.norm1, self.norm2 = layer_norm(EPSILON, "norm1"), layer_norm(EPSILON, "norm2")
        self.query, self.key = dense(width, "query"), dense(width, "key")
        self.value, self.project = dense(width, "value"), dense(width, "project")
        self.expand, self.contract = dense(4 * width, "expand"), dense(width, "contract")

    def build(self, input_shape):
        shape = (None, None, self.width)
        for layer in (self.norm1, self.query, self.key, self.value, self.project, self.norm2, self.expand):
            layer.build(shape)
        self.contract.build((None, None, 4 * self.width))
        self.scale1 = self.add_weight(name="scale1", shape=(self.width,), initializer="ones")
        self.scale2 = self.add_weight(name="scale2", shape=(self.width,), initializer="ones")

    def call(self, x, training=False):
        y = self.norm1(x)
        x = x + self.project(attend(self.query(y), self.key(y), self.value(y), self.heads)) * self.scale1
        return x + self.contract(tf.nn.gelu(self.expand(self.norm2(x)))) * self.scale2


class DinoV2(keras.Model):
    """DINOv2 for images of any size and shape.

    Args:
      size: its size.
      recompute: in training, keep only the blocks' outputs and compute the rest again in the backward pass.

    Maps RGB images minus their mean (0-255) `[B, H, W, 3]` to the patches' tokens after a quarter, half, three quarters
    and all of the blocks, each through the last layer normalisation: four maps `[B, ceil(H / 14), ceil(W / 14), C]`. An
    image whose sides are no multiples of 14 is resized (bilinear) up to the next ones: the maps cover it exactly.

    Source: M. Oquab et al., "DINOv2", TMLR 2024; T. Darcet et al., "Vision Transformers Need Registers", ICLR 2024.
    """

    family = "dinov2"

    def __init__(self, size: Size, *, recompute: bool = False, name: str = "backbone"):
        super().__init__(name=name)
        self.size, self.recompute = size, recompute
        self.channels, self.strides = (size.width,) * 4, (PATCH,) * 4
        self.patches = keras.layers.Conv2D(
            size.width, PATCH, PATCH, name="patches", kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02)
        )
        self.blocks = [Block(size.width, size.heads, name=f"block_{number}") for number in range(size.depth)]
        # tf.train.Checkpoint follows attributes but not Keras' lists.
        for block in self.blocks:
            setattr(self, block.name, block)
        self.norm = layer_norm(EPSILON, "norm")
        self.map_blocks = tuple(size.depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4))

    def build(self, input_shape):
        width, side = self.size.width, self.size.table
        small = keras.initializers.TruncatedNormal(stddev=0.02)
        # Their own type whatever the arithmetic: a table in 16 bits is interpolated badly.
        options = {"autocast": False, "initializer": small}
        self.class_token = self.add_weight(name="class_token", shape=(1, width), **options)
        self.class_position = self.add_weight(name="class_position", shape=(1, width), **options)
        self.positions = self.add_weight(name="positions", shape=(side, side, width), **options)
        if self.size.registers:
            self.registers = self.add_weight(name="registers", shape=(self.size.registers, width), **options)
        self.patches.build(tuple(input_shape))
        for block in self.blocks:
            block.build((None, None, width))
        self.norm.build((None, None, width))

    def call(self, images, training=False):
        x = self.patches(_to_whole_patches(images / tf.constant(INPUT_STD, images.dtype)))
        batch, height, width = (tf.shape(x)[i] if x.shape[i] is None else x.shape[i] for i in range(3))
        # With registers the published code interpolates with antialiasing, without them it does not.
        positions = resize_table(
            tf.convert_to_tensor(self.positions), (height, width), antialias=bool(self.size.registers)
        )
        x = tf.reshape(x + tf.cast(positions, x.dtype), [batch, height * width, self.size.width])
        tokens = [tf.convert_to_tensor(self.class_token) + tf.convert_to_tensor(self.class_position)]
        if self.size.registers:
            tokens.append(tf.convert_to_tensor(self.registers))
        first = tf.cast(tf.concat(tokens, axis=0), x.dtype)
        x = tf.concat([tf.tile(first[tf.newaxis], [batch, 1, 1]), x], axis=1)
        maps = []
        for number, block in enumerate(self.blocks):
            again = self.recompute and training
            x = recomputed(block, x, training=True) if again else block(x, training=training)
            if number in self.map_blocks:
                map_ = self.norm(x)[:, 1 + self.size.registers :]
                maps.append(tf.reshape(map_, [batch, height, width, self.size.width]))
        return maps

    def groups(self) -> list[list[keras.Variable]]:
        """The variables from the input to the output: tokens and patches, then each block, the norm with the last."""
        blocks = [block.variables for block in self.blocks]
        later = {id(variable) for group in blocks for variable in group} | {id(v) for v in self.norm.variables}
        first = [variable for variable in self.variables if id(variable) not in later]
        return [first, *blocks[:-1], [*blocks[-1], *self.norm.variables]]

    def foldable(self) -> list:
        """Nothing: layer normalisation depends on the image."""
        return []


def _to_whole_patches(images: tf.Tensor) -> tf.Tensor:
    """Images with sides that are multiples of 14, resized up where they are not."""
    if None not in images.shape[1:3]:
        size = [-(-side // PATCH) * PATCH for side in images.shape[1:3]]
        if size == list(images.shape[1:3]):
            return images
    else:
        size = -(-tf.shape(images)[1:3] // PATCH) * PATCH
    return tf.cast(tf.image.resize(images, size), images.dtype)
