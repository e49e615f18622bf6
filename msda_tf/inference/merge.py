"""Max Merge and its variants: one label map from the score maps of several branches (eq. 6).

The paper's rule takes, at each pixel, the class of the highest raw logit of all branches:
`argmax_c max_s logits_s[c]`. Branches of separately trained networks need not share a scale, hence the two rules on
probabilities.

A score map of 2048x1024 pixels and 19 classes takes 160 MB. So branches are taken one at a time from an iterable,
which may produce them lazily, and the maximum rules carry only a score and a class per pixel from one to the next.
"""

from collections.abc import Iterable

import tensorflow as tf

RULES = ("max-logit", "max-probability", "mean-probability")
"""The paper's rule, the same on softmax probabilities, and the mean of the branches' probabilities."""


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


def merge_labels(branches: Iterable[tf.Tensor], rule: str = "max-logit") -> tuple[tf.Tensor, tf.Tensor]:
    """Merges branches per pixel; of equal scores the lowest class wins.

    Args:
      branches: at least one map of raw logits, float `[B, H, W, C]`, all of one shape.
      rule: one of `RULES`.

    Returns:
      The winning score (a logit, a probability, or a mean probability) `[B, H, W]`, and trainIds uint8 `[B, H, W]`.
    """
    if _check(rule) == "mean-probability":
        return top_class(merge_scores(branches, rule))
    best = None
    for logits in branches:
        scores = logits if rule == "max-logit" else tf.nn.softmax(logits)
        best = top_class(scores) if best is None else keep_higher(best, top_class(scores))
    if best is None:
        raise ValueError("no branch to merge")
    return best


def merge_scores(branches: Iterable[tf.Tensor], rule: str = "max-logit") -> tf.Tensor:
    """The merged score of every class: for merging before up-sampling, where the maps are small.

    Args:
      branches: at least one map of raw logits, float `[B, H, W, C]`, all of one shape.
      rule: one of `RULES`.

    Returns:
      `[B, H, W, C]`: the maximum of the logits or of the probabilities over the branches, or the mean probability.
    """
    _check(rule)
    merged, count = None, 0
    for logits in branches:
        scores = logits if rule == "max-logit" else tf.nn.softmax(logits)
        combine = tf.add if rule == "mean-probability" else tf.maximum
        merged = scores if merged is None else combine(merged, scores)
        count += 1
    if merged is None:
        raise ValueError("no branch to merge")
    return merged / tf.cast(count, merged.dtype) if rule == "mean-probability" else merged


def _check(rule: str) -> str:
    if rule not in RULES:
        raise ValueError(f"unknown merge rule {rule!r}: one of {', '.join(RULES)}")
    return rule
