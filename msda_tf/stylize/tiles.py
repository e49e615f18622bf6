"""Translating one frame, whole or in tiles.

Tiles of a network with instance norm do not fit together: each is normalised by its own contents, so that a tile of sky
comes out otherwise than the same sky beside a house. Blending hides the edges of such tiles, but not that they differ.

Here all tiles go through the network together, one stage after the other, a stage ending where a normalisation begins.
The mean and variance by which they are normalised are pooled over all of them: those of the whole frame. Of each tile
only the pixels are kept that its edges, where it lacks its surroundings, do not reach. The tiles then make up the very
picture that the whole frame would have given, and there is nothing to blend. Between stages tiles wait in the
computer's memory, so that a GPU holds one at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf.stylize.images import to_network, to_picture
from msda_tf.stylize.unit.autoencoder import STRIDE
from msda_tf.stylize.unit.networks import Unit


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
        self.blocks, self.tile = blocks, tile
        self._stages = unit.translation(source, target)

        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)], autograph=False)
        def whole(frames):
            return to_picture(unit.decode(target, unit.encode(source, to_network(frames))))

        self._whole = whole

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
        edge = margin(self.blocks)
        layout = [
            (rows, columns)
            for rows in spans(frame.shape[0], tile=self.tile, margin=edge)
            for columns in spans(frame.shape[1], tile=self.tile, margin=edge)
        ]
        states = [
            (None, to_network(frame[None, rows.start : rows.stop, columns.start : columns.stop]))
            for rows, columns in layout
        ]
        norm = moments = None
        for stage in self._stages:
            measured = []
            for number, ((rows, columns), (kept, y)) in enumerate(zip(layout, states, strict=True)):
                kept, y = stage(kept, norm(y, moments) if norm else y)
                if stage.norm:
                    measured.append(_moments(y, rows, columns, stage.norm.axes))
                with tf.device("CPU"):
                    states[number] = (None if kept is None else tf.identity(kept), tf.identity(y))
            norm, moments = stage.norm, pool(measured) if measured else None
        result = np.empty_like(frame)
        for (rows, columns), (_, y) in zip(layout, states, strict=True):
            inside = y[0, _kept(rows, 1), _kept(columns, 1)]
            result[rows.keep_from : rows.keep_to, columns.keep_from : columns.keep_to] = to_picture(inside)
        return result


def _kept(span: Span, scale: int) -> slice:
    """What a tile keeps along an axis, counted from its own start, in maps smaller by a scale."""
    return slice((span.keep_from - span.start) // scale, (span.keep_to - span.start) // scale)


def _moments(y, rows, columns, axes):
    """(mean, variance, pixels) of the kept part of a tile's map `[1, h, w, C]`."""
    scale = (rows.stop - rows.start) // y.shape[1]
    piece = tf.cast(y[:, _kept(rows, scale), _kept(columns, scale)], tf.float32)
    return *tf.nn.moments(piece, axes, keepdims=True), piece.shape[1] * piece.shape[2]


def pool(measured: Sequence[tuple]) -> tuple[tf.Tensor, tf.Tensor]:
    """(mean, variance) over all tiles, float32, from (mean, variance, number of pixels) of each."""
    means, variances, counts = (
        np.stack([np.asarray(values[index], np.float64) for values in measured]) for index in range(3)
    )
    weights = (counts / counts.sum()).reshape(-1, *[1] * (means.ndim - 1))
    mean = (weights * means).sum(0)
    variance = (weights * (variances + means**2)).sum(0) - mean**2
    return tf.constant(mean, tf.float32), tf.constant(variance.clip(0), tf.float32)
