"""A network's branches on the held-out images of every source: the cells of the cross-source table."""

import math
import os

import tensorflow as tf
from absl import logging

from msda_tf.config import TrainConfig
from msda_tf.config.branches import NetworkPlan, trained_on
from msda_tf.config.inputs import image_mean
from msda_tf.data import pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.evaluation import calibration, confusion
from msda_tf.evaluation.cross_source import Cell
from msda_tf.inference.members import Inference
from msda_tf.inference.networks import member
from msda_tf.models.segmenter import MultiSourceSegmenter

SAMPLED = 4096
"""Pixels of an image, on a grid, whose probabilities are looked at: neighbours say the same."""


def spacing(height: int, width: int) -> int:
    """Of that grid, in pixels."""
    return max(1, math.ceil(math.sqrt(height * width / SAMPLED)))


class HeldOut:
    """Scores the branches of one network, with whatever weights it has at the time.

    Images reach it as in training: in their own size, with the mean of their own data set.

    Args:
      config: of the run.
      network: which of its networks.
      segmenter: the network.
      manifests: of the sources, by name.
    """

    def __init__(
        self,
        *,
        config: TrainConfig,
        network: NetworkPlan,
        segmenter: MultiSourceSegmenter,
        manifests: dict[str, Manifest],
    ):
        self._config, self._network, self._manifests = config, network, manifests
        branches = {branch: branch for branch in network.branches}
        self._networks = {}
        for source in config.sources:
            mean = image_mean(config, manifests[source])
            one = member(config, segmenter, mean=mean, branches=branches, source=True)
            self._networks[source] = tf.function(Inference([one]).logits, reduce_retracing=True, autograph=False)

    def cells(self) -> dict[str, dict[str, Cell]]:
        """Branch -> source -> its cell; a source without a held-out image has none.

        Raises:
          MsdaError: a record is damaged, or a label is not of the classes.
        """
        found: dict[str, dict[str, Cell]] = {branch: {} for branch in self._network.branches}
        for source in self._config.sources:
            for branch, cell in self._of(source).items():
                found[branch][source] = cell
        return found

    def _of(self, source: str) -> dict[str, Cell]:
        manifest, config = self._manifests[source], self._config
        corrupt = CorruptRecords(limit=config.corrupt_limit)
        images = pipeline.held_out_images(manifest, config.held_out, corrupt=corrupt)
        if images is None:
            logging.info("source %s is too small to hold images out", source)
            return {}
        tallies, matrices, count = {}, {}, 0
        with corrupt.raising():
            for example in images:
                label = example["label"].numpy()
                step = spacing(*label.shape)
                for branch, logits in self._networks[source](example["image"][None]).items():
                    predicted = tf.argmax(logits[0], axis=-1, output_type=tf.int32).numpy()
                    sampled = logits[0, ::step, ::step].numpy()
                    classes = sampled.shape[-1]
                    name = os.fsdecode(example["filename"].numpy())
                    counted = confusion.confusion_matrix(label, predicted, classes=classes, name=name)
                    tallied = calibration.tally(sampled.reshape(-1, classes), label[::step, ::step].ravel())
                    matrices[branch] = matrices.get(branch, 0) + counted
                    tallies[branch] = tallies[branch] + tallied if branch in tallies else tallied
                count += 1
        return {
            branch: Cell.of(tallies[branch], matrix, seen=source in trained_on(config, branch), images=count)
            for branch, matrix in matrices.items()
        }
