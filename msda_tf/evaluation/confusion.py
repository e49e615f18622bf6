"""The confusion matrix: which class was predicted where which class is true, counted over a whole test set.

A matrix is int64 `[C, C + 1]`: row = true class, column = predicted class. The last column counts pixels of a true
class where the prediction is no class at all (255, or any id outside 0..C-1): for that class they are missed pixels,
as in cityscapesScripts. Pixels whose true label is 255 are not counted. Matrices of parts of a set are added; scores
are taken from the sum, never averaged over images.
"""

import cv2
import numpy as np

from msda_tf.errors import MsdaError
from msda_tf.labels import IGNORE

# cv2.calcHist returns float32, in which counts are exact below 2^24.
_EXACT = 1 << 24


def empty(classes: int) -> np.ndarray:
    """int64 `[C, C + 1]` of zeros."""
    return np.zeros((classes, classes + 1), np.int64)


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, *, classes: int, name: str = "the label"
) -> np.ndarray:
    """Counts pixels on the CPU.

    Args:
      labels: integer array of any shape, the true trainIds; 255 = ignored.
      predictions: integer array of the same shape; ids outside 0..C-1 are no class.
      classes: C, at most 255.
      name: what the error messages call the label.

    Returns:
      int64 `[C, C + 1]`.

    Raises:
      MsdaError: the shapes differ, or a label is neither a class nor 255.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise MsdaError(f"{name} is {_size(labels)}, its prediction {_size(predictions)}: they must be of one size")
    if labels.dtype != np.uint8:
        _check(labels[(labels < 0) | (labels > IGNORE)], classes, name)
        labels = labels.astype(np.uint8)
    if predictions.dtype != np.uint8:
        known = (predictions >= 0) & (predictions < classes)
        predictions = np.where(known, predictions, IGNORE).astype(np.uint8)
    labels, predictions = labels.reshape(1, -1), predictions.reshape(1, -1)

    # The joint histogram of two 8-bit images: an order of magnitude faster than np.unique or np.bincount, which
    # widen every pixel to 64 bits.
    counts = np.zeros((256, 256), np.int64)
    for start in range(0, labels.shape[1], _EXACT):
        part = slice(start, start + _EXACT)
        pair = [labels[:, part], predictions[:, part]]
        counts += cv2.calcHist(pair, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    _check(np.flatnonzero(counts[classes:IGNORE].any(axis=1)) + classes, classes, name)
    matrix = empty(classes)
    matrix[:, :classes] = counts[:classes, :classes]
    matrix[:, classes] = counts[:classes, classes:].sum(axis=1)
    return matrix


def class_iou(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union of each class: TP / (TP + FP + FN).

    Args:
      matrix: int64 `[C, C + 1]`.

    Returns:
      float64 `[C]`, 0-1; NaN for a class that is neither in the labels nor predicted on any counted pixel.
    """
    classes = len(matrix)
    hits = np.diagonal(matrix)
    union = matrix.sum(axis=1) + matrix[:, :classes].sum(axis=0) - hits
    return np.divide(hits, union, out=np.full(classes, np.nan), where=union > 0)


def _check(wrong: np.ndarray, classes: int, name: str) -> None:
    if wrong.size:
        found = ", ".join(str(value) for value in np.unique(wrong)[:5])
        raise MsdaError(
            f"{name} holds {found}, expected trainIds 0..{classes - 1} or {IGNORE} (ignored): convert its ids first"
        )


def _size(array: np.ndarray) -> str:
    return "x".join(str(length) for length in array.shape)
