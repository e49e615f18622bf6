"""The paper's equations 1 to 3, each a pure function of maps.

The paper writes sums over pixels; its lambdas come from AdaptSegNet's code, where every loss is a mean, so these are
means: over the valid pixels of the batch (eq. 1) and over the discriminator's map (eqs. 2 and 3).
All return float32 scalars.
"""

import tensorflow as tf

from msda_tf.labels import IGNORE

SOURCE, TARGET = 1.0, 0.0
"""What a discriminator should answer for a source's and the target's maps."""


def valid_pixels(labels: tf.Tensor) -> tf.Tensor:
    """Number of labelled pixels, float32 scalar, of trainIds `[B, H, W]` uint8."""
    return tf.reduce_sum(tf.cast(labels != IGNORE, tf.float32))


def segmentation_loss(
    logits: tf.Tensor, labels: tf.Tensor, normalizer: tf.Tensor | None = None, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Cross-entropy of a source's maps (eq. 1), or, with weights, of maps under pseudo-labels (DACS, eq. 4).

    Args:
      logits: `[B, H, W, C]` float32, at the labels' size.
      labels: `[B, H, W]` uint8 trainIds; 255 is ignored.
      normalizer: what the sum over valid pixels is divided by; their number by default. A caller that spreads one
        batch over replicas or micro-batches passes the number of valid pixels of the whole batch.
      weights: `[B, H, W]` float32, of each pixel; they do not change what the sum is divided by.

    Returns:
      the mean over the valid pixels; 0 if there is none.
    """
    valid = labels != IGNORE
    safe = tf.where(valid, tf.cast(labels, tf.int32), 0)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=safe, logits=tf.cast(logits, tf.float32))
    if weights is not None:
        entropy *= weights
    total = tf.reduce_sum(tf.where(valid, entropy, 0.0))
    if normalizer is None:
        normalizer = valid_pixels(labels)
    return total / tf.maximum(normalizer, 1.0)


def gan_loss(logits: tf.Tensor, domain: float, objective: str = "vanilla") -> tf.Tensor:
    """How far a discriminator's answers are from a domain.

    Args:
      logits: `[B, h, w, 1]` float32.
      domain: `SOURCE` or `TARGET`.
      objective: "vanilla": binary cross-entropy of the sigmoid; "lsgan": squared difference of the raw answer.

    Returns:
      the mean over the map.
    """
    if objective == "lsgan":
        return tf.reduce_mean(tf.square(logits - domain))
    target = tf.fill(tf.shape(logits), domain)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits))


def discriminator_loss(logits: tf.Tensor, domain: float, objective: str = "vanilla") -> tf.Tensor:
    """One domain's half of what a discriminator minimises (eq. 2): the two halves add up to the mean of both domains,
    as in AdaptSegNet. Answers `[B, h, w, 1]` for maps of `domain`."""
    return gan_loss(logits, domain, objective) / 2


def adversarial_loss(target_logits: tf.Tensor, objective: str = "vanilla") -> tf.Tensor:
    """What the network minimises (eq. 3): its target maps, `[B, h, w, 1]` answers, should pass for a source's."""
    return gan_loss(target_logits, SOURCE, objective)


def accuracy(logits: tf.Tensor, domain: float, objective: str = "vanilla") -> tf.Tensor:
    """Share of the patches, `[B, h, w, 1]` answers, that a discriminator takes for the right domain."""
    threshold = 0.5 if objective == "lsgan" else 0.0
    right = logits > threshold if domain == SOURCE else logits <= threshold
    return tf.reduce_mean(tf.cast(right, tf.float32))
