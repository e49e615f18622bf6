"""Max Merge and its variants: one label map from the score maps of several branches (eq. 6).

The paper's rule takes, at each pixel, the class of the highest raw logit of all branches:
`argmax_c max_s logits_s[c]`. Branches of separately trained networks need not share a scale, hence the two rules on
probabilities. And a branch that is sure of itself may be wrong, hence those that go by how the branches did on images
of sources that they have not seen (`msda_tf.evaluation.cross_source`): temperatures make probabilities comparable,
weights give more say to the better branches, over all classes or class by class.

A score map of 2048x1024 pixels and 19 classes takes 160 MB. So branches are taken one at a time from an iterable,
which may produce them lazily, and the maximum rules carry only a score and a class per pixel from one to the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf.errors import UsageError
from msda_tf.evaluation.cross_source import Calibration

CALIBRATED = ("calibrated-probability", "weighted-probability", "class-weighted-probability")
"""The rules that need every branch's `Calibration`."""

RULES = ("max-logit", "max-probability", "mean-probability", *CALIBRATED)
"""The paper's rule, the same on softmax probabilities, and the mean of the branches' probabilities: as they are, after
calibration, weighted by branch, and weighted by branch and class."""


@dataclass(frozen=True)
class Share:
    """A branch's part in a mean of probabilities.

    Attributes:
      temperature: by which its logits are divided.
      weights: of its probability of each class, float64 `[C]`; those of all branches add up to 1.

    Where they change, in training, both are float32 tensors.
    """

    temperature: float | tf.Tensor
    weights: np.ndarray | tf.Tensor


def shares(rule: str, calibrations: Sequence[Calibration]) -> list[Share]:
    """Each branch's part under a rule of `CALIBRATED`.

    Args:
      rule: of the merge.
      calibrations: of the branches to merge, in order.
    """
    if rule == "calibrated-probability":
        weights = np.array([np.ones_like(each.class_weights) for each in calibrations])
    elif rule == "weighted-probability":
        weights = np.array([each.weight * np.ones_like(each.class_weights) for each in calibrations])
    else:
        weights = np.array([each.class_weights for each in calibrations])
    weights /= weights.sum(axis=0)
    return [Share(each.temperature, own) for each, own in zip(calibrations, weights, strict=True)]


def shares_of(
    rule: str, calibrations: Mapping[str, Calibration], merged: Sequence[str], *, option: str = "--merge"
) -> list[Share] | None:
    """`shares` of the branches `merged`; None under a rule that needs none. Errors name `option`.

    Raises:
      UsageError: a branch has no calibration.
    """
    if rule not in CALIBRATED:
        return None
    missing = [name for name in merged if name not in calibrations]
    if missing:
        raise UsageError(
            f"{option} {rule} goes by held-out images of the sources, and {missing[0]} was scored on none: train with "
            f"held_out above 0, or use {option} mean-probability"
        )
    return shares(rule, [calibrations[name] for name in merged])


def top_class(scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The highest score of each pixel and its class; of equal scores the lowest class wins.

    Args:
      scores: float `[B, H, W, C]`, C at most 255.

    Returns:
      Scores of the type of `scores` `[B, H, W]`, and trainIds uint8 `[B, H, W]`.
    """
    # tf.argmax, not keras.ops.argmax: that one adds a Bitcast, which converters to ONNX refuse.
    labels = tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32), tf.uint8)
    return tf.reduce_max(scores, axis=-1), labels


def keep_higher(first: tuple[tf.Tensor, tf.Tensor], second: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Of two pairs (scores, trainIds) as `top_class` gives them, the one with the higher score at each pixel.

    Of equal scores the lower class wins, so that the order of the branches does not matter and the outcome equals
    the argmax over classes of the maximum over branches.
    """
    (first_scores, first_labels), (second_scores, second_labels) = first, second
    tie_won = (second_scores == first_scores) & (second_labels < first_labels)
    labels = tf.where((second_scores > first_scores) | tie_won, second_labels, first_labels)
    return tf.maximum(first_scores, second_scores), labels


def merge_labels(
    branches: Iterable[tf.Tensor], rule: str = "max-logit", parts: Sequence[Share] | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Merges branches per pixel; of equal scores the lowest class wins.

    Args:
      branches: at least one map of raw logits, float `[B, H, W, C]`, all of one shape.
      rule: one of `RULES`.
      parts: the branches' shares, in order, for a rule of `CALIBRATED`.

    Returns:
      The winning score (a logit, a probability, or a mean probability) `[B, H, W]`, and trainIds uint8 `[B, H, W]`.
    """
    if _check(rule) not in ("max-logit", "max-probability"):
        return top_class(merge_scores(branches, rule, parts))
    best = None
    for logits in branches:
        scores = logits if rule == "max-logit" else tf.nn.softmax(logits)
        best = top_class(scores) if best is None else keep_higher(best, top_class(scores))
    if best is None:
        raise ValueError("no branch to merge")
    return best


def merge_scores(
    branches: Iterable[tf.Tensor], rule: str = "max-logit", parts: Sequence[Share] | None = None
) -> tf.Tensor:
    """The merged score of every class: for merging before up-sampling, where the maps are small.

    Args:
      branches: at least one map of raw logits, float `[B, H, W, C]`, all of one shape.
      rule: one of `RULES`.
      parts: the branches' shares, in order, for a rule of `CALIBRATED`.

    Returns:
      `[B, H, W, C]`: the maximum of the logits or of the probabilities over the branches, or the mean probability.
    """
    if _check(rule) in CALIBRATED:
        return _weighted(branches, parts)
    merged, count = None, 0
    for logits in branches:
        scores = logits if rule == "max-logit" else tf.nn.softmax(logits)
        combine = tf.add if rule == "mean-probability" else tf.maximum
        merged = scores if merged is None else combine(merged, scores)
        count += 1
    if merged is None:
        raise ValueError("no branch to merge")
    return merged / tf.cast(count, merged.dtype) if rule == "mean-probability" else merged


def _weighted(branches: Iterable[tf.Tensor], parts: Sequence[Share] | None) -> tf.Tensor:
    """The weighted mean of calibrated probabilities."""
    if not parts:
        raise ValueError("calibrated rules need the shares of the branches")
    merged = None
    for logits, part in zip(branches, parts, strict=True):
        temperature, weights = (tf.convert_to_tensor(each, logits.dtype) for each in (part.temperature, part.weights))
        scores = tf.nn.softmax(logits / temperature) * weights
        merged = scores if merged is None else merged + scores
    return merged


def _check(rule: str) -> str:
    if rule not in RULES:
        raise ValueError(f"unknown merge rule {rule!r}: one of {', '.join(RULES)}")
    return rule
