"""How far probabilities can be believed: counted over labelled pixels, for many temperatures at once.

Temperature scaling divides logits by one number, which leaves the label map as it is, and is fitted by the likelihood
of held-out labels (Guo et al., "On Calibration of Modern Neural Networks", 2017). Here the likelihood is summed up for
a grid of temperatures in one pass: sums of several images and sets are added, and the fit is a look-up.
"""

from dataclasses import dataclass

import numpy as np

from msda_tf.evaluation.confusion import class_iou
from msda_tf.labels import IGNORE

TEMPERATURES = 2.0 ** np.linspace(-2, 4, 25)
"""The grid: from 1/4 to 16, 19 percent apart. float64 `[K]`."""

_BINS = 100
# Guo et al. use 15 bins; these are added up from the finer ones, of which ATC needs as many as there are.
_PER_BIN = 5


@dataclass(frozen=True)
class Tally:
    """Sums over labelled pixels, at each temperature of the grid (K), for C classes.

    Attributes:
      nll: of -log p(true class), by true class: float64 `[K, C]`, nats.
      pixels: by true class: float64 `[C]`.
      confidence: of the highest probability, by its bin: float64 `[K, 100]`.
      counts: pixels of each bin: float64 `[K, 100]`.
      right: those of them whose highest probability is that of the true class: float64 `[K, 100]`.
      expected: of probabilities, by predicted class (row) and class: float64 `[K, C, C]`.
    """

    nll: np.ndarray
    pixels: np.ndarray
    confidence: np.ndarray
    counts: np.ndarray
    right: np.ndarray
    expected: np.ndarray

    def __add__(self, other: "Tally") -> "Tally":
        """Of both sets of pixels."""
        return Tally(*(getattr(self, name) + getattr(other, name) for name in vars(self)))

    def mean_nll(self) -> np.ndarray:
        """Nats a pixel at each temperature: float64 `[K]`; NaN without pixels."""
        total = self.pixels.sum()
        return self.nll.sum(axis=1) / total if total else np.full(len(TEMPERATURES), np.nan)

    def accuracy(self) -> float:
        """Share of the pixels whose class is right; NaN without pixels."""
        total = self.pixels.sum()
        return float(self.right[0].sum() / total) if total else np.nan

    def mean_confidence(self) -> np.ndarray:
        """Mean of the highest probability at each temperature: float64 `[K]`; NaN without pixels."""
        total = self.pixels.sum()
        return self.confidence.sum(axis=1) / total if total else np.full(len(TEMPERATURES), np.nan)

    def calibration_error(self) -> np.ndarray:
        """Expected calibration error at each temperature, 20 bins (Guo et al. 2017, eq. 3): float64 `[K]`, 0-1."""
        total = self.pixels.sum()
        if not total:
            return np.full(len(TEMPERATURES), np.nan)
        gaps = (self.right - self.confidence).reshape(len(TEMPERATURES), -1, _PER_BIN).sum(axis=2)
        return np.abs(gaps).sum(axis=1) / total

    def threshold(self) -> np.ndarray:
        """The confidence that as many pixels reach as are right (ATC: Garg et al. 2022, eq. 1): float64 `[K]`, 0-1."""
        wrong = self.pixels.sum() - self.right.sum(axis=1)
        below = np.concatenate([np.zeros((len(TEMPERATURES), 1)), self.counts.cumsum(axis=1)], axis=1)
        edges = np.linspace(0, 1, _BINS + 1)
        return np.array([np.interp(wrong[k], below[k], edges) for k in range(len(TEMPERATURES))])

    def expected_miou(self) -> np.ndarray:
        """Mean IoU as the probabilities themselves expect it, at each temperature: float64 `[K]` (`expected_miou`)."""
        return np.array([expected_miou(matrix) for matrix in self.expected])


def tally(logits: np.ndarray, labels: np.ndarray) -> Tally:
    """Counts pixels.

    Args:
      logits: float `[P, C]`.
      labels: trainIds `[P]`; 255 is left out.
    """
    classes = logits.shape[1]
    known = labels != IGNORE
    labels = labels[known].astype(np.int64)
    logits = logits[known].astype(np.float32)
    logits = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    predicted = logits.argmax(axis=1)
    hit = predicted == labels
    own = logits[np.arange(len(labels)), labels]
    shape = (len(TEMPERATURES), _BINS)
    nll, expected = np.zeros((len(TEMPERATURES), classes)), np.zeros((len(TEMPERATURES), classes, classes))
    confidence, counts, right = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for k, temperature in enumerate(TEMPERATURES):
        powers = np.exp(logits / np.float32(temperature))
        sums = powers.sum(axis=1)
        nll[k] = np.bincount(labels, np.log(sums) - own / temperature, classes)
        expected[k] = expected_matrix(predicted, powers / sums[:, None])
        top = 1 / sums
        bins = np.minimum((top * _BINS).astype(np.int64), _BINS - 1)
        confidence[k] = np.bincount(bins, top, _BINS)
        counts[k] = np.bincount(bins, minlength=_BINS)
        right[k] = np.bincount(bins, hit, _BINS)
    return Tally(nll, np.bincount(labels, minlength=classes).astype(float), confidence, counts, right, expected)


def expected_matrix(labels: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """A confusion matrix filled by probabilities: float64 `[C, C]`, row = predicted class, column = class.

    Args:
      labels: predicted trainIds `[P]`.
      probability: float `[P, C]` of each class.
    """
    # A product with one-hot labels would be BLAS', whose threads wait for each other by spinning: where other programs
    # have the cores, one of 8000 pixels can take half a second instead of a millisecond.
    rows = [probability[labels == label].sum(axis=0, dtype=np.float64) for label in range(probability.shape[1])]
    return np.stack(rows)


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of logits `[..., C]` over a temperature: float32."""
    scaled = logits.astype(np.float32) / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def expected_miou(matrix: np.ndarray) -> float:
    """Mean IoU of a confusion matrix that probabilities fill instead of labels; an absent class counts 0.

    With every pixel's class drawn from its probabilities, this is the ratio of the expected intersection to the
    expected union, class by class.

    Args:
      matrix: float `[C, C]`: row = predicted class, column = class; sums of probabilities.
    """
    as_counted = np.concatenate([matrix.T, np.zeros((len(matrix), 1))], axis=1)
    return float(np.nan_to_num(class_iou(as_counted)).mean())
