"""The one loop that scores label maps: images through the networks, predictions against labels, counts added up."""

import concurrent.futures
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from msda_tf.data.corrupt import CorruptRecords
from msda_tf.evaluation import confusion
from msda_tf.inference.stream import batches


@dataclass(frozen=True)
class Scored:
    """One image that was scored.

    Attributes:
      name: of its file.
      image: uint8 `[H, W, 3]` RGB.
      label: trainIds uint8 `[H, W]`.
      maps: trainIds uint8 `[H, W]` by branch or merge.
    """

    name: str
    image: np.ndarray
    label: np.ndarray
    maps: dict[str, np.ndarray]


def score(
    label_maps: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    examples: Iterable[dict[str, tf.Tensor]],
    *,
    classes: int,
    corrupt: CorruptRecords,
    on_scored: Callable[[Scored], None] = lambda scored: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, np.ndarray]:
    """Confusion matrices of every label map.

    Args:
      label_maps: of images uint8 `[B, H, W, 3]`, gives trainIds uint8 `[B, H, W]` by name.
      examples: `image` uint8 `[H, W, 3]`, `label` uint8 `[H, W]` and `filename` of each image, in order.
      classes: C.
      corrupt: gives a damaged record its clear error.
      on_scored: given every image, in order, in another thread.
      on_progress: called with the number of images done.

    Returns:
      int64 `[C, C + 1]` by name (see `msda_tf.evaluation.confusion.confusion_matrix`).

    Raises:
      MsdaError: a record is damaged, or a label is not of these classes.
    """
    matrices: dict[str, np.ndarray] = {}
    done = 0

    def count(batch, maps):
        nonlocal done
        maps = {name: value.numpy() for name, value in maps.items()}
        for index, (example, _) in enumerate(batch):
            own = {name: value[index] for name, value in maps.items()}
            scored = Scored(
                os.fsdecode(example["filename"].numpy()), example["image"].numpy(), example["label"].numpy(), own
            )
            for branch, predicted in own.items():
                counts = confusion.confusion_matrix(scored.label, predicted, classes=classes, name=scored.name)
                matrices[branch] = matrices.get(branch, 0) + counts
            on_scored(scored)
            done += 1

    # Counting overlaps with the networks' next batch.
    with corrupt.raising(), concurrent.futures.ThreadPoolExecutor(1) as counter:
        counting = counter.submit(lambda: None)
        for batch in batches((example, example["image"]) for example in examples):
            maps = label_maps(tf.stack([image for _, image in batch]))
            counting.result()
            on_progress(done)
            counting = counter.submit(count, batch, maps)
        counting.result()
    on_progress(done)
    return matrices
