"""From a teacher's merged maps to labels, and how much each of their pixels counts."""

import tensorflow as tf

from msda_tf.inference import merge


def labels_and_confidence(scores: tf.Tensor, rule: str) -> tuple[tf.Tensor, tf.Tensor]:
    """The class of each pixel, and its probability.

    Args:
      scores: float32 `[B, H, W, C]` as `msda_tf.inference.merge.merge_scores` gives them.
      rule: by which they were merged: logits for "max-logit", else probabilities.

    Returns:
      trainIds uint8 `[B, H, W]`, and float32 `[B, H, W]` in 0-1: the softmax of the merged logits, or the class's share
      of the merged probabilities.
    """
    top, labels = merge.top_class(scores)
    if rule == "max-logit":
        return labels, tf.exp(top - tf.reduce_logsumexp(scores, axis=-1))
    return labels, top / tf.maximum(tf.reduce_sum(scores, axis=-1), 1e-12)


def class_sums(labels: tf.Tensor, confidence: tf.Tensor, classes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """(number of pixels, sum of their confidence) of each class, float32 `[C]` each.

    Args:
      labels: uint8 `[B, H, W]`.
      confidence: float32 `[B, H, W]`.
      classes: C.
    """
    ids = tf.reshape(tf.cast(labels, tf.int32), [-1])
    both = tf.stack([tf.ones_like(confidence), confidence], axis=-1)
    sums = tf.math.unsorted_segment_sum(tf.reshape(both, [-1, 2]), ids, classes)
    return sums[:, 0], sums[:, 1]


def class_thresholds(sureness: tf.Tensor, threshold: float) -> tf.Tensor:
    """A threshold for each class, float32 `[C]`: lower where the teacher is less sure.

    tau_c = tau * p_c / max p, FreeMatch's local threshold (Y. Wang et al., ICLR 2023, eq. 10), with the fixed tau of
    the published recipes.

    Args:
      sureness: float32 `[C]`, mean confidence of the pixels that the teacher gives each class.
      threshold: tau.
    """
    return threshold * sureness / tf.maximum(tf.reduce_max(sureness), 1e-12)


def weights(
    confidence: tf.Tensor, labels: tf.Tensor, *, how: str, thresholds: tf.Tensor, share: tf.Tensor
) -> tf.Tensor:
    """How much each pseudo-labelled pixel counts, float32 `[B, H, W]`.

    Args:
      confidence: float32 `[B, H, W]`.
      labels: uint8 `[B, H, W]`.
      how: "share": all pixels alike, by the share of the batch that is sure (DACS, DAFormer); "pixel" and "class": 1
        where the confidence reaches the threshold, else 0.
      thresholds: float32 `[C]`, of each class.
      share: float32 `[]`, share of the batch's pixels whose confidence reaches the threshold.
    """
    if how == "share":
        return tf.fill(tf.shape(confidence), share)
    return tf.cast(confidence >= tf.gather(thresholds, tf.cast(labels, tf.int32)), tf.float32)
