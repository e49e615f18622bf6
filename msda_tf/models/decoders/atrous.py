"""DeepLabV2's decoder: an atrous classifier for each branch on the map of its level, all through one matrix product."""

from collections.abc import Sequence

import keras
import tensorflow as tf

_MAP = {"feature": 2, "output": 3}
"""Which of the backbone's maps a level reads: stage 3 or stage 4."""


def make(*, level: str, branches: tuple[str, ...], num_classes: int, rates: tuple[int, ...]) -> "AtrousDecoder":
    """The decoder of one level."""
    return AtrousDecoder(level=level, branches=branches, num_classes=num_classes, rates=rates)


class AtrousDecoder:
    """See `msda_tf.models.decoders.contract.Decoder`."""

    trunk = None

    def __init__(self, *, level: str, branches: tuple[str, ...], num_classes: int, rates: tuple[int, ...]):
        self.level = level
        self.classifiers = {name: AtrousClassifier(num_classes, rates=rates, name=name) for name in branches}

    def build(self, channels: tuple[int, int, int, int]) -> None:
        """Makes the classifiers' variables."""
        for classifier in self.classifiers.values():
            classifier.build((None, None, None, channels[_MAP[self.level]]))

    def __call__(self, maps: Sequence[tf.Tensor], branches: Sequence[str], training: bool) -> dict[str, tf.Tensor]:
        """Logits `{branch: [B, h, w, C]}`, of the size of the level's map."""
        logits = classify(maps[_MAP[self.level]], [self.classifiers[name] for name in branches])
        return dict(zip(branches, logits, strict=True))


def shift(x: tf.Tensor, down: int, right: int) -> tf.Tensor:
    """`y[:, i, j] = x[:, i + down, j + right]`, zero outside: `[B, H, W, C]` to the same shape."""
    dynamic = None if x.shape[1:3].is_fully_defined() else tf.shape(x)
    begin, size, padding = [0], [-1], [[0, 0]]
    for axis, offset in ((1, down), (2, right)):
        length = x.shape[axis] if dynamic is None else dynamic[axis]
        # A shift beyond the map leaves only zeros; the minimum keeps the padding from growing it.
        reach = min(abs(offset), length) if dynamic is None else tf.minimum(abs(offset), length)
        begin.append(reach if offset > 0 else 0)
        size.append(length - reach)
        padding.append([0, reach] if offset > 0 else [reach, 0])
    return tf.pad(tf.slice(x, [*begin, 0], [*size, -1]), [*padding, [0, 0]])


def classify(features: tf.Tensor, classifiers: list["AtrousClassifier"]) -> list[tf.Tensor]:
    """Runs several atrous classifiers over one map, through one matrix product.

    A 3x3 convolution to few outputs is one product that projects every pixel for all nine taps, and nine shifted sums.
    All rates and classifiers share the product, all classifiers the shifts, and the centre taps of all rates one
    projection. The result is that of dilated convolutions, at a ninth of their cost on CPUs.

    Args:
      features: `[B, H, W, I]`.
      classifiers: built for I channels, with the same rates and number of classes.

    Returns:
      one logits map `[B, H, W, C]` of the features' type for each classifier.
    """
    rates = classifiers[0].rates
    # One [3, 3, I, n * C] kernel for each rate: all classifiers side by side.
    kernels = [
        tf.cast(tf.concat([classifier.kernels[number] for classifier in classifiers], axis=-1), features.dtype)
        for number in range(len(rates))
    ]
    projections, offsets = [tf.add_n([kernel[1, 1] for kernel in kernels])], [(0, 0)]
    for rate, kernel in zip(rates, kernels, strict=True):
        taps = tf.unstack(tf.reshape(kernel, [9, *kernel.shape[2:]]))
        for number, tap in enumerate(taps):
            down, right = (number // 3 - 1) * rate, (number % 3 - 1) * rate
            if number != 4 and not _outside(features.shape, down, right):
                projections.append(tap)
                offsets.append((down, right))
    matrix = tf.stack(projections, axis=1)  # [I, taps, n * C]
    channels, taps, outputs = matrix.shape
    product = tf.matmul(tf.reshape(features, [-1, channels]), tf.reshape(matrix, [channels, taps * outputs]))
    fixed = features.shape[:3].is_fully_defined()
    product = tf.reshape(product, [*(features.shape if fixed else tf.unstack(tf.shape(features)))[:3], taps * outputs])
    terms = [
        shift(term, *offset) if any(offset) else term
        for offset, term in zip(offsets, tf.split(product, taps, axis=-1), strict=True)
    ]
    biases = tf.concat([tf.add_n(list(map(tf.convert_to_tensor, c.biases))) for c in classifiers], axis=0)
    return tf.split(tf.add_n(terms) + tf.cast(biases, features.dtype), len(classifiers), axis=-1)


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
