"""The engine of every method: the gradients of a sum of losses, with one domain and one head alive at a time.

Each term of a method's loss depends on the images of one domain alone. So the domains are passed one after the other
and their gradients added, and within a domain every head's losses are followed back to its small map at once: no more
than one domain's activations, one head's maps of full resolution, and one discriminator's activations are alive
together. Where memory is plenty and a GPU waits for the host that issues its operations, domains of one size pass the
backbone together instead: the same sums, of fewer and larger operations.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from msda_tf.models.preprocess import centred
from msda_tf.models.segmenter import LEVELS, MultiSourceSegmenter
from msda_tf.training.replicas import gradient_norm


@dataclass(frozen=True)
class HeadLosses:
    """What hangs on one head's map of one domain: float32 scalars.

    Attributes:
      network: what the network minimises.
      discriminator: what the head's discriminator minimises; None without one.
      metrics: this domain's share of each metric, by name.
    """

    network: tf.Tensor
    discriminator: tf.Tensor | None = None
    metrics: dict[str, tf.Tensor] = field(default_factory=dict)


HeadLossFunction = Callable[[str, str, tf.Tensor, dict], HeadLosses]
"""Of a level, a branch, its logits float32 `[B, h, w, C]`, and the domain's images and labels."""


@dataclass(frozen=True)
class Term:
    """What one domain's images add to a method's loss.

    Attributes:
      images: `image` `[B, H, W, 3]` RGB 0-255 and `mean` float32 `[3]`; what else there is, `head_losses` gets.
      branches: whose heads the domain passes.
      head_losses: called once for each level and branch.
      on_map: of the backbone's last map, float32 `[B, h, w, D]`, and `images`, gives a loss of the network, float32
        `[]`, and metrics.
    """

    images: dict
    branches: tuple[str, ...]
    head_losses: HeadLossFunction
    on_map: Callable | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its images."""
        return tuple(self.images["image"].shape[1:3])


class GradientSum:
    """Gradients and metrics added over domains and micro-batches.

    Args:
      segmenter: the network.
      optimizer: of the network; scales its losses.
      discriminator_optimizer: of the discriminators; None without any.
      together: whether domains whose images have one size pass the backbone together: fewer and larger operations, and
        the activations of all of them at once.

    Attributes:
      network: gradients that follow `segmenter.generator_variables`; None where no term reaches a variable.
      discriminator: gradients that follow `segmenter.discriminator_variables`.
      metrics: float32 scalars by name.
    """

    def __init__(
        self, segmenter: MultiSourceSegmenter, optimizer, discriminator_optimizer=None, *, together: bool = False
    ):
        self.network, self.discriminator, self.metrics = [], [], {}
        self._segmenter, self._optimizer = segmenter, optimizer
        self._discriminator_optimizer, self._together = discriminator_optimizer, together

    def add(self, terms: list[Term]) -> None:
        """Passes domains through the network and adds what their heads' losses give."""
        for group in passes(terms) if self._together else [[term] for term in terms]:
            self._add(group)

    def _add(self, group: list[Term]) -> None:
        with tf.control_dependencies(self._tensors()):
            begun = tf.no_op()
        metrics, discriminators, upstream, before = {}, {}, [], []
        # The reads of the weights wait as the images do: else norms' scales and casts make a copy of all kernels, for
        # every domain, at the start of the step.
        with tf.control_dependencies([begun]), tf.GradientTape() as tape:
            images = [tf.nest.map_structure(tf.identity, term.images) for term in group]
            inputs = [centred(each["image"], each["mean"]) for each in images]
            large = self._segmenter.maps(tf.concat(inputs, 0) if len(group) > 1 else inputs[0], training=True)
            parts = _parts(large, [each.shape[0] for each in inputs])
            heads = []
            for term, maps, each in zip(group, parts, images, strict=True):
                logits = self._segmenter.logits(maps, term.branches, training=True)
                for level in LEVELS:
                    for branch in term.branches:
                        heads.append((term, level, branch, each, tf.cast(logits[level][branch], tf.float32)))
            last = [
                (term, tf.cast(maps[-1], tf.float32), each)
                for term, maps, each in zip(group, parts, images, strict=True) if term.on_map
            ]  # fmt: skip
        for term, level, branch, each, small in heads:
            with tf.control_dependencies(before):
                small = tf.identity(small)
            with tf.GradientTape(persistent=True) as head_tape:
                head_tape.watch(small)
                losses = term.head_losses(level, branch, small, each)
                network_loss = self._optimizer.scale_loss(losses.network)
                if losses.discriminator is not None:
                    discriminator_loss = self._discriminator_optimizer.scale_loss(losses.discriminator)
            before = [head_tape.gradient(network_loss, small)]
            upstream += before
            if losses.discriminator is not None:
                variables = self._segmenter.module(level).discriminator(branch).trainable_variables
                found = head_tape.gradient(discriminator_loss, values(variables))
                for variable, gradient in zip(variables, found, strict=True):
                    # Branches may share a discriminator, and domains that pass together do.
                    path = variable.path
                    discriminators[path] = discriminators[path] + gradient if path in discriminators else gradient
                    before = [*before, gradient]
            _add_metrics(metrics, losses.metrics)
        for term, features, each in last:
            with tf.GradientTape() as map_tape:
                map_tape.watch(features)
                loss, found = term.on_map(features, each)
                loss = self._optimizer.scale_loss(loss)
            upstream.append(map_tape.gradient(loss, features))
            _add_metrics(metrics, found)
        maps = [*(small for *_, small in heads), *(features for _, features, _ in last)]
        network = tape.gradient(maps, values(self._segmenter.generator_variables), output_gradients=upstream)
        self.network = _added(self.network, network)
        own = [discriminators.get(variable.path) for variable in self._segmenter.discriminator_variables]
        self.discriminator = _added(self.discriminator, own)
        _add_metrics(self.metrics, metrics)

    def _tensors(self):
        return [gradient for gradient in self.network + self.discriminator if gradient is not None]


def passes(terms: list[Term]) -> list[list[Term]]:
    """The terms whose images have one size, in the order in which a size is met first."""
    groups: dict[tuple[int, int], list[Term]] = {}
    for term in terms:
        groups.setdefault(term.size, []).append(term)
    return list(groups.values())


def clipped(gradients: list, optimizer, limit: float | None) -> list:
    """Gradients shrunk so that their norm over all variables, summed over replicas, is at most `limit`.

    Keras' own clipping looks at each replica's part before the sum, and at scaled gradients where losses are scaled.
    """
    if limit is None:
        return gradients
    found = [gradient for gradient in gradients if gradient is not None]
    context = tf.distribute.get_replica_context()
    whole = context.all_reduce("SUM", found) if context.num_replicas_in_sync > 1 else found
    norm = tf.linalg.global_norm(whole) / optimizer.scale_loss(tf.constant(1.0))
    factor = limit / tf.maximum(norm, limit)
    return [None if gradient is None else gradient * factor for gradient in gradients]


def descend(updates: list[tuple[str, object, list, list]]) -> dict[str, tf.Tensor]:
    """Applies gradients, all of which are computed before the first variable changes.

    Args:
      updates: (name, optimizer, gradients, variables) of each part.

    Returns:
      this replica's share of each gradient's norm, under "gradient_norm/NAME".
    """
    norms = {f"gradient_norm/{name}": gradient_norm(found, optimizer) for name, optimizer, found, _ in updates}
    # Without this the first update could run before a gradient that reads the same weights.
    with tf.control_dependencies([each for _, _, found, _ in updates for each in found if each is not None]):
        held = [[None if each is None else tf.identity(each) for each in found] for _, _, found, _ in updates]
    for (_, optimizer, _, variables), gradients in zip(updates, held, strict=True):
        optimizer.apply(gradients, variables)
    return norms


def no_terms(part: dict) -> list[Term]:
    """What a method adds to another if it adds nothing."""
    return []


def micro_batches(batch: dict, parts: int) -> list[dict]:
    """The batch cut into `parts` of equal numbers of images, to save memory; means are shared."""
    if parts == 1:
        return [batch]

    def part(number, images):
        def piece(name, value):
            size = value.shape[0] // parts
            return value if name == "mean" else value[number * size : (number + 1) * size]

        return {name: piece(name, value) for name, value in images.items()}

    def of_all(number, images):
        return [part(number, each) for each in images] if isinstance(images, list) else part(number, images)

    return [{name: of_all(number, images) for name, images in batch.items()} for number in range(parts)]


def values(variables) -> list[tf.Variable]:
    """What a gradient tape knows of Keras' variables."""
    return [variable.value for variable in variables]


def _added(total, gradients):
    """Element-wise sum of two lists of gradients, in which None means that a term does not reach the variable."""
    if not total:
        return list(gradients)
    return [a if b is None else b if a is None else a + b for a, b in zip(total, gradients, strict=True)]


def _parts(maps: list[tf.Tensor], counts: list[int]) -> list[list[tf.Tensor]]:
    """The maps of all images cut into those of each domain's."""
    if len(counts) == 1:
        return [maps]
    cut = [tf.split(each, counts) for each in maps]
    return [[each[number] for each in cut] for number in range(len(counts))]


def _add_metrics(total: dict, found: dict) -> None:
    for name, value in found.items():
        total[name] = total[name] + value if name in total else value
