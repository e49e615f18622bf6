"""Translating one frame, whole or in tiles.

Tiles of a network with instance norm do not fit together: each is normalised by its own contents, so that a tile of sky
comes out otherwise than the same sky beside a house. Blending hides the edges of such tiles, but not that they differ.
Here all tiles of a frame are normalised by the same moments, those of the whole frame, so that every pixel is what any
tile around it would give, and there is nothing to blend:

1. Every tile is encoded and decoded, normalised by itself, and the moments of each layer are pooled over the frame.
2. The same, normalised by the pooled moments: the layers' inputs, and so their moments, come closer to the whole's.
3. Every tile is translated with the moments so found. Of each tile only the pixels are kept that its edges, where it
   lacks its surroundings, do not reach.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf.models.unit import Unit
from msda_tf.models.unit_autoencoder import STRIDE
from msda_tf.models.unit_layers import Moments, own_moments
from msda_tf.stylize.images import to_network, to_picture

ROUNDS = 2
"""How often moments are pooled before tiles are translated."""


def margin(blocks: int) -> int:
    """How far, in pixels, an encoder and a decoder with `blocks` residual blocks each look, rounded up to `STRIDE`."""
    # 7x7; 4x4 at stride 2; 4x4 at half size; 3x3 at quarter size; 5x5 at half size; 5x5; 7x7; rounding to whole codes.
    reach = 3 + 2 + 4 + 2 * blocks * 8 + 4 + 2 + 3 + STRIDE
    return -(-reach // STRIDE) * STRIDE


def smallest_tile(blocks: int) -> int:
    """The smallest tile that keeps at least a quarter of its height and width."""
    return -(-8 * margin(blocks) // (3 * STRIDE)) * STRIDE


@dataclass(frozen=True)
class Span:
    """One axis of a tile: it reads pixels start to stop, and of these keeps keep_from to keep_to."""

    start: int
    stop: int
    keep_from: int
    keep_to: int


def spans(length: int, *, tile: int, margin: int) -> list[Span]:
    """Tiles along an axis: what they keep makes up the whole, and lies `margin` inside but at the frame's ends.

    All are multiples of `STRIDE` if the arguments are.
    """
    if length <= tile:
        return [Span(0, length, 0, length)]
    step = tile - 2 * margin - STRIDE
    starts = [*range(0, length - tile, step), length - tile]
    found, kept = [], 0
    for number, start in enumerate(starts):
        last = number == len(starts) - 1
        until = length if last else (starts[number + 1] + start + tile) // (2 * STRIDE) * STRIDE
        found.append(Span(start, start + tile, kept, until))
        kept = until
    return found


class Translator:
    """Translates frames of one domain into the other, without noise.

    Args:
      unit: the networks.
      blocks: residual blocks of each.
      source, target: domains.
      tile: height and width of tiles in pixels; 0: whole frames.
    """

    def __init__(self, unit: Unit, *, blocks: int, source: str = "a", target: str = "b", tile: int = 0):
        self.unit, self.blocks, self.source, self.target, self.tile = unit, blocks, source, target, tile
        images = tf.TensorSpec([1, None, None, 3], tf.uint8)
        self._whole = tf.function(
            lambda tile: to_picture(self._translated(tile, own_moments)), input_signature=[images]
        )
        self._measured = tf.function(self._measure, reduce_retracing=True)
        self._final = tf.function(
            lambda tile, pooled: to_picture(self._translated(tile, fixed(pooled))), reduce_retracing=True
        )

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Translates uint8 `[H, W, 3]` of any size to uint8 `[H, W, 3]`."""
        height, width = frame.shape[:2]
        # Codes of at least 2x2, for their borders to be reflected.
        ends = [(0, max(-n % STRIDE, 2 * STRIDE - n)) for n in (height, width)]
        padded = np.pad(frame, [*ends, (0, 0)], "reflect")
        if not self.tile or max(padded.shape[:2]) <= self.tile:
            result = self._whole(tf.constant(padded[None]))[0].numpy()
        else:
            result = self._in_tiles(padded)
        return result[:height, :width]

    def _in_tiles(self, frame):
        layout = list(self._layout(frame.shape))
        pooled: tuple = ()
        for _ in range(ROUNDS):
            measured = [
                # As a tensor: TensorFlow would trace the network again for every other Python number.
                self._measured(cut(frame, rows, columns), tf.constant(kept(rows, columns)), pooled)
                for rows, columns in layout
            ]
            pooled = pool(measured)
        result = np.empty_like(frame)
        for rows, columns in layout:
            tile = self._final(cut(frame, rows, columns), pooled)[0].numpy()
            top, left, bottom, right = kept(rows, columns)
            result[rows.keep_from : rows.keep_to, columns.keep_from : columns.keep_to] = tile[top:bottom, left:right]
        return result

    def _layout(self, shape) -> Iterator[tuple[Span, Span]]:
        edge = margin(self.blocks)
        for rows in spans(shape[0], tile=self.tile, margin=edge):
            for columns in spans(shape[1], tile=self.tile, margin=edge):
                yield rows, columns

    def _translated(self, tile, moments: Moments):
        codes = self.unit.encode(self.source, to_network(tile), moments)
        return self.unit.decode(self.target, codes, moments)

    def _measure(self, tile, part, pooled):
        """(mean, variance, pixels) of the kept part of every normalised layer."""
        found = []
        inner = fixed(pooled) if pooled else own_moments

        def moments(x, axes):
            scale = tf.shape(tile)[1] // tf.shape(x)[1]
            top, left, bottom, right = tf.unstack(part // scale)
            piece = x[:, top:bottom, left:right]
            found.append((*tf.nn.moments(piece, axes, keepdims=True), tf.size(piece[..., 0])))
            return inner(x, axes)

        self._translated(tile, moments)
        return found


def cut(frame: np.ndarray, rows: Span, columns: Span) -> tf.Tensor:
    """What a tile reads of a frame `[H, W, 3]`: uint8 `[1, h, w, 3]`."""
    return tf.constant(frame[None, rows.start : rows.stop, columns.start : columns.stop])


def kept(rows: Span, columns: Span) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of what a tile keeps, counted from its own corner."""
    return (
        rows.keep_from - rows.start,
        columns.keep_from - columns.start,
        rows.keep_to - rows.start,
        columns.keep_to - columns.start,
    )


def fixed(pooled: Sequence[tuple]) -> Moments:
    """Moments as `pool` gave them, one after the other, whatever is to be normalised."""
    remaining = iter(pooled)
    return lambda x, axes: next(remaining)


def pool(measured: Sequence[Sequence[tuple]]) -> tuple:
    """(mean, variance) of each layer over all tiles, float32, from those of each tile and its number of pixels."""
    pooled = []
    for layer in zip(*measured, strict=True):
        means, variances, counts = (
            np.stack([np.asarray(values[index], np.float64) for values in layer]) for index in range(3)
        )
        weights = (counts / counts.sum()).reshape(-1, *[1] * (means.ndim - 1))
        mean = (weights * means).sum(0)
        variance = (weights * (variances + means**2)).sum(0) - mean**2
        pooled.append((tf.constant(mean, tf.float32), tf.constant(variance.clip(0), tf.float32)))
    return tuple(pooled)
