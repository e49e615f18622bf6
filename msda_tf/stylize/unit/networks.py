"""UNIT: two autoencoders that share their codes, and a discriminator for each domain."""

import keras
import tensorflow as tf

from msda_tf.stylize.unit.autoencoder import UnitDecoder, UnitEncoder
from msda_tf.stylize.unit.discriminator import UnitDiscriminator
from msda_tf.stylize.unit.layers import Stage

DOMAINS = ("a", "b")
"""a is the source, b the target."""


class Unit(keras.layers.Layer):
    """Encoder, decoder and discriminator of both domains.

    An image of a is translated by a's encoder and b's decoder. That the codes mean the same in both domains is
    learned, by bringing images there and back, and by drawing all codes towards one normal distribution.

    Args:
      channels: of the first convolutions.
      blocks: residual blocks of each encoder and decoder.
      discriminator_channels: of the discriminators' first convolution; 0 leaves the discriminators out, as
        translating does not need them.
    """

    def __init__(self, *, channels: int = 64, blocks: int = 4, discriminator_channels: int = 64, **kwargs):
        super().__init__(**kwargs)
        for domain in DOMAINS:
            setattr(self, f"encoder_{domain}", UnitEncoder(channels, blocks, name=f"encoder_{domain}"))
            setattr(self, f"decoder_{domain}", UnitDecoder(channels, blocks, name=f"decoder_{domain}"))
            if discriminator_channels:
                discriminator = UnitDiscriminator(discriminator_channels, name=f"discriminator_{domain}")
                setattr(self, f"discriminator_{domain}", discriminator)
        self.channels, self.discriminates = channels, bool(discriminator_channels)

    def create_variables(self) -> None:
        """Makes every variable (call it inside the strategy's scope)."""
        for domain in DOMAINS:
            getattr(self, f"encoder_{domain}").build((None, None, None, 3))
            getattr(self, f"decoder_{domain}").build((None, None, None, 4 * self.channels))
            if self.discriminates:
                getattr(self, f"discriminator_{domain}").build((None, None, None, 3))
        self.built = True

    def encode(self, domain: str, images: tf.Tensor) -> tf.Tensor:
        """Codes' means, float32 `[B, H / 4, W / 4, 4 * channels]`, of a domain's images `[B, H, W, 3]` in -1..1."""
        return getattr(self, f"encoder_{domain}")(images)

    def decode(self, domain: str, codes: tf.Tensor) -> tf.Tensor:
        """Images of a domain in -1..1, float32 `[B, H, W, 3]`, from codes `[B, H / 4, W / 4, 4 * channels]`."""
        return getattr(self, f"decoder_{domain}")(codes)

    def translation(self, source: str, target: str) -> list[Stage]:
        """From images of one domain in -1..1 to the other's, cut at the normalisations."""
        return [*getattr(self, f"encoder_{source}").stages(), *getattr(self, f"decoder_{target}").stages()]

    def discriminate(self, domain: str, images: tf.Tensor) -> list[tf.Tensor]:
        """Answers at three scales: does `images`, `[B, H, W, 3]` in -1..1, look like one of the domain?"""
        return getattr(self, f"discriminator_{domain}")(images)

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """Trainable variables of encoders and decoders."""
        return self._variables("encoder") + self._variables("decoder")

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """Trainable variables of the discriminators."""
        return self._variables("discriminator")

    def _variables(self, part):
        return [variable for d in DOMAINS for variable in getattr(self, f"{part}_{d}").trainable_variables]
