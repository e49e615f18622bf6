"""From the painted canvas to the file: lens, sensor, colour grading, and what of the own car is in sight."""

import cv2
import numpy as np

from .kinds import Kind
from .style import Sensor


def develop(image: np.ndarray, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Grades a picture and adds blur, outlines, noise and vignetting.

    Args:
      image: uint8 `[H, W, 3]` RGB.
      sensor: what to do.
      rng: source of the exposure and the noise.

    Returns:
      uint8 `[H, W, 3]` RGB.
    """
    height, width = image.shape[:2]
    levels = np.arange(256, dtype=np.float32)[:, None] * np.float32(sensor.gain) * (rng.uniform(*sensor.exposure) / 255)
    curve = np.clip(levels, 0, 1) ** sensor.gamma
    light = cv2.LUT(image, np.ascontiguousarray(curve[None], np.float32))
    # Saturation mixes each channel with the grey value, contrast stretches around the middle: one linear map.
    grey = np.array([0.299, 0.587, 0.114])
    mix = sensor.contrast * (sensor.saturation * np.eye(3) + (1 - sensor.saturation) * grey)
    shift = 0.5 * (min(1, sensor.contrast**0.5) - sensor.contrast)
    light = cv2.transform(light, np.column_stack([mix, np.full(3, shift)]))
    if sensor.blur:
        light = cv2.GaussianBlur(light, (0, 0), sensor.blur * height / 1000)
    if sensor.sharpen:
        soft = cv2.GaussianBlur(light, (0, 0), 1.0)
        light += sensor.sharpen * (light - soft)
    if sensor.vignette:
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light *= (1 - sensor.vignette * 0.5 * (x * x + y * y)).astype(np.float32)[..., None]
    if sensor.noise:
        light += rng.standard_normal(light.shape, np.float32) * np.float32(sensor.noise / 255)
    return cv2.convertScaleAbs(cv2.max(light, 0), alpha=255)


def add_bonnet(image: np.ndarray, kinds: np.ndarray, rng: np.random.Generator) -> None:
    """Lays the own car's bonnet and the border that rectification leaves over a picture, in place.

    Args:
      image: uint8 `[H, W, 3]`.
      kinds: uint8 `[H, W]`.
      rng: source of randomness: the bonnet hardly changes, its reflections do.
    """
    height, width = kinds.shape
    first = int(0.84 * height)
    hull, below = image[first:], kinds[first:]
    x = np.linspace(-1, 1, width)[None]
    y = np.arange(first, height)[:, None] / height
    edge = 0.905 + 0.045 * x**2 + 0.02 * np.abs(x) ** 6
    bonnet = y > edge
    # The paint mirrors the sky faintly, most where the bonnet bends away from the camera.
    mirrored = image[: max(1, height // 3)].mean(axis=(0, 1)) * rng.uniform(0.22, 0.34)
    sheen = np.clip(1 - (y - edge) * 14, 0, 1)[..., None]
    paint = np.array([24, 27, 28]) + sheen * mirrored + 10 * np.exp(-((x - 0.02) ** 2) * 9)[..., None]
    star = (np.hypot((x - 0.13) * width / height, (y - 0.885) * 2) < 0.045) & (y > 0.86) & ~bonnet
    hull[star] = hull[star] * 0.75 + 20
    hull[bonnet] = np.clip(paint, 0, 255)[bonnet]
    below[bonnet] = Kind.EGO_VEHICLE
    border = max(1, round(height * 5 / 1024))
    for strip in (np.s_[:, :border], np.s_[:, -border:], np.s_[-border:]):
        kinds[strip] = Kind.OUT_OF_ROI
        image[strip] = image[strip] // 4
