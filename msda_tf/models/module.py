"""The atrous classifier, and the module that holds one for each branch at one level, each with its discriminator."""

import keras

from msda_tf.models.decoders.atrous import AtrousClassifier, classify
from msda_tf.models.discriminator import Discriminator


class AdaptiveClassificationModule(keras.layers.Layer):
    """The classifiers of one level (one for each branch), each with the discriminator that adapts it.

    Args:
      branches: names, such as ("S1", "S2") or ("S-All",).
      num_classes: C.
      rates: of the atrous classifiers.
      discriminators: "branch" (one for each branch, the paper's eq. 4), "level" (one that all branches of the level
        share) or "none" (no adaptation).
      discriminator_width: channels of the discriminator's first layer.
    """

    def __init__(
        self,
        branches: tuple[str, ...],
        *,
        num_classes: int,
        rates: tuple[int, ...],
        discriminators: str = "branch",
        discriminator_width: int = 64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.branches = tuple(branches)
        self.classifiers = [AtrousClassifier(num_classes, rates=rates, name=name) for name in branches]
        names = {"branch": branches, "level": ("shared",), "none": ()}[discriminators]
        self.discriminators = [Discriminator(discriminator_width, name=f"discriminator_{name}") for name in names]
        # tf.train.Checkpoint follows attributes but not Keras' lists: these names are the paths in its files.
        for name, classifier in zip(branches, self.classifiers, strict=True):
            setattr(self, f"classifier_{name}", classifier)
        for discriminator in self.discriminators:
            setattr(self, discriminator.name, discriminator)

    def build(self, features_shape):
        for classifier in self.classifiers:
            classifier.build(features_shape)
            classifier.built = True
        for discriminator in self.discriminators:
            discriminator.build((None, None, None, self.classifiers[0].num_classes))
            discriminator.built = True

    def call(self, features, branches: tuple[str, ...] | None = None):
        """Logits `{branch: [B, H, W, C]}` of the named branches (all by default) over `[B, H, W, I]` features."""
        names = self.branches if branches is None else branches
        chosen = [self.classifiers[self.branches.index(name)] for name in names]
        return dict(zip(names, classify(features, chosen), strict=True))

    def discriminator(self, branch: str) -> Discriminator:
        """The discriminator that judges this branch's maps."""
        shared = len(self.discriminators) == 1
        return self.discriminators[0 if shared else self.branches.index(branch)]
