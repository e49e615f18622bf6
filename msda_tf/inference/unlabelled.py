"""Networks on images without labels: the loop that `msda_tf.evaluation.unlabelled` gets its pixels from."""

import os
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf

from msda_tf.data.corrupt import CorruptRecords
from msda_tf.evaluation.cross_source import Calibration, Cells
from msda_tf.evaluation.unlabelled import Collector, Estimate
from msda_tf.inference.held_out import spacing
from msda_tf.inference.members import Inference

OnImage = Callable[[str, np.ndarray, dict[str, np.ndarray]], None]
"""Takes an image's name, the image uint8 `[H, W, 3]` RGB, and every label map by name."""


class Unlabelled:
    """Estimates what the branches and merges of networks are worth.

    Args:
      inference: the networks; merged by a rule for which it has what it needs.
      rules: name -> (rule, merge_at) of the merges; see `Inference.label_maps`.
    """

    def __init__(self, inference: Inference, rules: dict[str, tuple[str, str]] | None = None):
        self._inference = inference
        signature = [tf.TensorSpec([None, None, None, 3], tf.uint8), tf.TensorSpec([], tf.int32)]
        self._networks = tf.function(
            lambda images, step: inference.label_maps_and_samples(images, step, rules),
            input_signature=signature,
            autograph=False,
        )

    def estimate(
        self,
        images: Iterable[dict[str, tf.Tensor]],
        *,
        calibrations: Mapping[str, Calibration],
        cells: Cells,
        corrupt: CorruptRecords,
        on_image: OnImage = lambda name, image, maps: None,
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> dict[str, Estimate]:
        """Estimates by branch and merge.

        Args:
          images: `image` uint8 `[H, W, 3]` and `filename`; a label would not be looked at.
          calibrations, cells: of every branch.
          corrupt: gives a damaged record its clear error.
          on_image: given every image, in order.
          on_progress: called with the number of images done.
        """
        collector = Collector(calibrations, cells, self._inference.merged)
        with corrupt.raising():
            for done, example in enumerate(images, 1):
                image = example["image"]
                step = spacing(*image.shape[:2])
                maps, samples = self._networks(image[None], step)
                labels = {name: value.numpy()[0] for name, value in maps.items()}
                logits = {name: value.numpy()[0] for name, value in samples.items()}
                collector.add(
                    {name: value.reshape(-1, value.shape[-1]) for name, value in logits.items()},
                    {name: value[::step, ::step].ravel() for name, value in labels.items()},
                )
                on_image(os.fsdecode(example["filename"].numpy()), image.numpy(), labels)
                on_progress(done)
        return collector.estimates()
