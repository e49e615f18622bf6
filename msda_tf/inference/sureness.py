"""How sure networks are of the few images that panels show."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from msda_tf.inference.members import Inference


def confidence_of(inference: Inference) -> Callable[[np.ndarray], np.ndarray]:
    """A function of an image uint8 `[H, W, 3]` RGB: the merged map's confidence float32 `[H, W]`, 0-1.

    It is traced when it is first called: whoever shows no image waits for nothing.
    """
    traced = tf.function(
        inference.segment_with_confidence,
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)],
        autograph=False,
    )
    return lambda image: traced(tf.constant(image[None]))[1][0].numpy()
