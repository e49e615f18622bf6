"""What the rest of the project expects of a training method."""

from typing import Any, Protocol

import tensorflow as tf

from msda_tf.models.segmenter import MultiSourceSegmenter


class Method(Protocol):
    """Trains one network.

    A batch is a dictionary:
      sources: for each feed `image` uint8 `[B, H, W, 3]`, `label` uint8 `[B, H_l, W_l]`, `mean` float32 `[3]` (RGB).
      target: `image` uint8 `[B, H_t, W_t, 3]`, `mean` float32 `[3]`. Its labels are not even accepted. With
        `pseudo_margins` also `inside` uint8 `[B, H_t, W_t]`, 0 in them; with `pseudo_context` also `context` uint8
        `[B, H_c, W_c, 3]`, and `window` float32 `[B, 4]`, where in it `image` lies.

    Attributes:
      checkpointables: what training needs to go on, besides the network, by name: optimizers and the like.
      headline: label -> prefix of the metrics whose mean the progress line shows under it.
      together: whether domains whose images have one size pass the backbone together; looked at when a step is traced.
      serves: the network that segments: the one that is trained, or its teacher.
    """

    checkpointables: dict[str, Any]
    headline: dict[str, str]
    together: bool
    serves: MultiSourceSegmenter

    def step(self, batch: dict) -> dict[str, tf.Tensor]:
        """One replica's part of one step, run inside `strategy.run`.

        All gradients are taken at the same weights, then applied.

        Returns:
          float32 scalars by name, at the weights before the step: this replica's share, so that the replicas' add up.
        """

    def learning_rates(self, step: int) -> dict[str, float]:
        """Learning rates at a step, by name."""
