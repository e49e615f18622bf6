"""The terms that UNIT's networks descend on, each a pure function: float32 scalars.

Source: M.-Y. Liu et al., "Unsupervised Image-to-Image Translation Networks", NIPS 2017, with the terms as its published
code has them since May 2018 (least squares instead of cross-entropy, and a KL term without its factor 1/2).
"""

import tensorflow as tf

from msda_tf.methods.losses import gan_loss
from msda_tf.stylize.unit.layers import INSTANCE

REAL, FAKE = 1.0, 0.0


def reconstruction(images: tf.Tensor, again: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference of images `[B, H, W, 3]` in -1..1: within a domain, or after going there and back."""
    return tf.reduce_mean(tf.abs(images - again))


def kl(codes: tf.Tensor) -> tf.Tensor:
    """Mean square of the codes' means `[B, h, w, C]`: twice the KL divergence of N(code, 1) from N(0, 1)."""
    return tf.reduce_mean(tf.square(codes))


def adversarial(fakes: list[tf.Tensor]) -> tf.Tensor:
    """What a translation costs whose answers are `[B, h, w, 1]` at each scale: summed over scales."""
    return tf.add_n([gan_loss(answers, REAL, "lsgan") for answers in fakes])


def discriminator(reals: list[tf.Tensor], fakes: list[tf.Tensor]) -> tf.Tensor:
    """What a discriminator costs that answers `[B, h, w, 1]` at each scale: real and fake, summed over scales."""
    return tf.add_n(
        [gan_loss(real, REAL, "lsgan") + gan_loss(fake, FAKE, "lsgan") for real, fake in zip(reals, fakes, strict=True)]
    )


def perceptual(features: tf.Tensor, of_translation: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of instance-normalised features `[B, h, w, C]` of an image and its translation.

    Normalised, they say where things are and no longer how bright or colourful: the scene should stay, the look change.
    """
    return tf.reduce_mean(tf.math.squared_difference(INSTANCE(features), INSTANCE(of_translation)))
