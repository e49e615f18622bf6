"""The atrous classifier, and the module that holds one for each branch at one level, each with its discriminator."""

import keras
import tensorflow as tf

from msda_tf.models.discriminator import Discriminator


def shift(x: tf.Tensor, down: int, right: int) -> tf.Tensor:
    """`y[:, i, j] = x[:, i + down, j + right]`, zero outside: `[B, H, W, C]` to the same shape."""
    height = x.shape[1] if x.shape[1] is not None else tf.shape(x)[1]
    width = x.shape[2] if x.shape[2] is not None else tf.shape(x)[2]

    def crop_and_pad(offset, size):
        # A shift beyond the map leaves only zeros; the minimum keeps the padding from growing it.
        reach = min(abs(offset), size) if isinstance(size, int) else tf.minimum(abs(offset), size)
        if offset >= 0:
            return slice(reach, None), [0, reach]
        return slice(None, size - reach), [reach, 0]

    rows, pad_rows = crop_and_pad(down, height)
    columns, pad_columns = crop_and_pad(right, width)
    return tf.pad(x[:, rows, columns], [[0, 0], pad_rows, pad_columns, [0, 0]])


def classify(features: tf.Tensor, classifiers: list["AtrousClassifier"]) -> list[tf.Tensor]:
    """Runs several atrous classifiers over one map, through one matrix product.

    A 3x3 convolution to few outputs is one product that projects every pixel for all nine taps, and nine shifted sums.
    All rates and classifiers share the product, and the centre taps of all rates share one projection. The result is
    that of dilated convolutions, at a ninth of their cost on CPUs.

    Args:
      features: `[B, H, W, I]`.
      classifiers: built for I channels.

    Returns:
      one logits map `[B, H, W, C]` of the features' type for each classifier.
    """
    channels = features.shape[-1]
    projections, layout = [], []
    for number, classifier in enumerate(classifiers):
        kernels = [tf.cast(kernel, features.dtype) for kernel in classifier.kernels]
        projections.append(tf.add_n([kernel[1, 1] for kernel in kernels]))
        layout.append((number, 0, 0))
        for rate, kernel in zip(classifier.rates, kernels, strict=True):
            for i, j in ((i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)):
                down, right = (i - 1) * rate, (j - 1) * rate
                if _outside(features.shape, down, right):
                    continue
                projections.append(kernel[i, j])
                layout.append((number, down, right))
    # [I, taps * C]; the classifiers may differ in C.
    product = tf.matmul(tf.reshape(features, [-1, channels]), tf.concat(projections, axis=1))
    taps = tf.split(product, [projection.shape[1] for projection in projections], axis=1)
    terms: list[list[tf.Tensor]] = [[] for _ in classifiers]
    size = tf.shape(features)
    for (number, down, right), tap in zip(layout, taps, strict=True):
        outputs = tap.shape[1]
        tap = tf.reshape(tap, [size[0], size[1], size[2], outputs])
        tap = tf.ensure_shape(tap, [*features.shape[:3], outputs])
        terms[number].append(shift(tap, down, right) if down or right else tap)
    return [
        tf.add_n(terms[number])
        + tf.cast(tf.add_n([tf.convert_to_tensor(b) for b in classifier.biases]), features.dtype)
        for number, classifier in enumerate(classifiers)
    ]


def _outside(shape, down, right) -> bool:
    """Whether a shift moves every pixel out of a map of this (possibly unknown) size."""
    return (shape[1] is not None and abs(down) >= shape[1]) or (shape[2] is not None and abs(right) >= shape[2])


class AtrousClassifier(keras.layers.Layer):
    """DeepLabV2's classifier: 3x3 convolutions with different rates over the same map, summed.

    Args:
      num_classes: C.
      rates: dilation of each convolution. AdaptSegNet's code returns from inside its loop and so sums only the first
        two (6 and 12); the four of DeepLabV2 are the default.

    Maps `[B, H, W, I]` to logits `[B, H, W, C]`. The weights are one `[3, 3, I, C]` kernel and one bias for each rate.
    """

    def __init__(self, num_classes: int, *, rates: tuple[int, ...] = (6, 12, 18, 24), **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.rates = num_classes, tuple(rates)

    def build(self, input_shape):
        self.kernels = [
            self.add_weight(
                name=f"kernel_{number}",
                shape=(3, 3, input_shape[-1], self.num_classes),
                initializer=keras.initializers.RandomNormal(stddev=0.01),
            )
            for number in range(len(self.rates))
        ]
        self.biases = [
            self.add_weight(name=f"bias_{number}", shape=(self.num_classes,), initializer="zeros")
            for number in range(len(self.rates))
        ]
        # tf.train.Checkpoint follows attributes but not Keras' lists.
        for number in range(len(self.rates)):
            setattr(self, f"kernel_{number}", self.kernels[number])
            setattr(self, f"bias_{number}", self.biases[number])

    def call(self, features):
        return classify(features, [self])[0]


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
