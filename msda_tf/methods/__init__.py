"""Training methods by name. The table is read without TensorFlow; a method's own module is loaded when it is made.

A further method is a file beside this one, whose `make` gives what `msda_tf.methods.contract` describes, a line here,
and its knobs in `msda_tf.config.train_config`.
"""

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A method of the table.

    Attributes:
      module: has `make(*, config, segmenter, feeds, strategy)`, which gives the method for one network.
      adapts: whether it learns from the target's images. If not, its step sees the sources alone, its S-All branch is
        the paper's No Adapt column, and its branches take no part in Max Merge beside those of a method that adapts.
      discriminators: whether its networks have discriminators.
      teacher: whether it keeps a teacher, a second network that labels the target's images and is the one that serves.
      summary: what it is, for help and documentation.
    """

    module: str
    adapts: bool
    discriminators: bool
    summary: str
    teacher: bool = False


METHODS: dict[str, Entry] = {
    "adversarial": Entry(
        "msda_tf.methods.adversarial",
        adapts=True,
        discriminators=True,
        summary="the paper's: a discriminator for each level and branch (eqs. 1-5)",
    ),
    "supervised": Entry(
        "msda_tf.methods.supervised",
        adapts=False,
        discriminators=False,
        summary="the sources' labels alone (eq. 1): with layout s-all the paper's No Adapt column",
    ),
    "self-training": Entry(
        "msda_tf.methods.self_training",
        adapts=True,
        discriminators=False,
        teacher=True,
        summary="a teacher labels the target, and every branch learns from its source mixed with it",
    ),
    "adversarial+self-training": Entry(
        "msda_tf.methods.self_training",
        adapts=True,
        discriminators=True,
        teacher=True,
        summary="both at once",
    ),
}


def make(name: str, *, config, segmenter, feeds, strategy):
    """The method of this name for one network: see `msda_tf.methods.contract.Method`.

    Args:
      name: a key of `METHODS`.
      config: of the run.
      segmenter: the network, with its variables.
      feeds: for each source image of a step, the branches that it trains: (("S1",), ("S2",)), or (("S-All",),).
      strategy: in whose scope the network was made; call this inside it.
    """
    module = importlib.import_module(METHODS[name].module)
    return module.make(config=config, segmenter=segmenter, feeds=feeds, strategy=strategy)
