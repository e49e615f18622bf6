"""Weights, images and labels from seeds: the same numbers for a network in Torch, in Keras and in a later year.

`RandomState`, because NumPy promises that its stream never changes.
"""

import zlib

import numpy as np

RESIDUAL_GAIN = 0.2


def seeded(name: str, shape: tuple[int, ...], low: float | None = None, high: float | None = None) -> np.ndarray:
    """float32 of this shape, from the seed that the name gives: N(0, 1), or uniform between `low` and `high`."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    values = random.standard_normal(shape) if low is None else random.uniform(low, high, shape)
    return values.astype(np.float32)


def seeded_image(name: str, height: int, width: int, batch: int = 1) -> np.ndarray:
    """A mean-subtracted image, float32 `[B, H, W, 3]` between -128 and 128, smooth as photographs are."""
    coarse = seeded(name, (batch, -(-height // 8), -(-width // 8), 3), -100, 100)
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    return smooth + seeded(name + " noise", smooth.shape, -28, 28)


def seeded_labels(name: str, height: int, width: int, classes: int, batch: int = 1) -> np.ndarray:
    """trainIds uint8 `[B, H, W]` in blocks of 8 pixels; about a tenth is 255."""
    coarse = np.floor(seeded(name, (batch, -(-height // 8), -(-width // 8)), 0, classes * 1.1))
    coarse[coarse >= classes] = 255
    return coarse.astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]


def seeded_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights for a DeepLab's Torch state dict (names -> shapes) that keep activations and logits near 1.

    Everything is far from its default (BatchNorm's statistics, gamma, beta, convolution biases), so that a forgotten or
    exchanged tensor shows.
    """
    return {name: _weight(name, shape) for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}


def _weight(name, shape):
    if len(shape) == 4:
        gain = (2.0 / np.prod(shape[1:])) ** 0.5
        if name.endswith("conv1.weight") and shape[1] == 3 and shape[2] == 7:
            gain /= 60  # the stem sees grey levels
        if "conv2d_list" in name:
            gain /= 2  # four convolutions are summed
        return seeded(name, shape) * np.float32(gain)
    if len(shape) == 2:
        return seeded(name, shape) * np.float32(shape[1] ** -0.5)
    if name.endswith("running_var"):
        return seeded(name, shape, 0.5, 1.5)
    norm = ".bn" in name or name.startswith("bn") or "downsample.1" in name
    if norm and name.endswith("weight"):
        gain = RESIDUAL_GAIN if "bn3" in name else 1.0
        return seeded(name, shape, 0.6, 1.4) * np.float32(gain)
    return seeded(name, shape) * np.float32(0.2)  # biases, beta, running mean
