"""What every task of the trainer does alike: feeding its devices, running a step on all of them, naming images."""

import os
from collections.abc import Callable

import tensorflow as tf

from msda_tf.training.workers import place


def step_on_all(replica_step: Callable, strategy: tf.distribute.Strategy):
    """A graph of a batch that runs `replica_step` on every device and adds up the metrics it gives.

    Args:
      replica_step: of a device's part of a batch, gives float32 scalars by name: its share of each metric.
      strategy: the devices.
    """

    # Nothing in a step depends on values, so nothing is to be converted, which took longer than tracing what there is.
    @tf.function(autograph=False)
    def step(batch):
        metrics = strategy.run(replica_step, args=(batch,))
        return {name: strategy.reduce("SUM", value, axis=None) for name, value in metrics.items()}

    return step


def compiled(function: Callable, *, jit: bool) -> Callable:
    """`function`, with `jit` compiled by XLA: a part of a replica's step that ends before the replicas meet.

    XLA has no part in what waits for other devices (sums of gradients, optimizers under a strategy), and fails on it.
    """
    if not jit:
        return function

    def run(*arguments):
        # A trace holds the variables of the replica in which it was made: each replica needs its own.
        return tf.function(function, jit_compile=True, autograph=False)(*arguments)

    return run


def gradient_norm(gradients, optimizer) -> tf.Tensor:
    """This replica's share of the norm of its gradients: the replicas' shares add up to the mean of their norms.

    A gradient may be None; all carry the optimizer's loss scale, which is taken out.
    """
    norm = tf.linalg.global_norm([gradient for gradient in gradients if gradient is not None])
    return norm / optimizer.scale_loss(tf.constant(1.0))


def distribute(
    make: Callable[[int, int], tf.data.Dataset], strategy: tf.distribute.Strategy, *, batch_size: int
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Batches for every device.

    Args:
      make: of (number of this worker, number of workers), gives the worker's part of every global batch.
      strategy: the devices.
      batch_size: of a global batch.
    """
    worker, workers = place()
    if strategy.num_replicas_in_sync == workers and not tf.config.list_logical_devices("GPU"):
        # Nothing is to be sent to a device ahead of its step. Iterators that do that have a tuner's thread, whatever
        # the data set's options say, and at times that thread takes up to a minute to end.
        return make(worker, workers)

    def dataset(context: tf.distribute.InputContext):
        batches = make(context.input_pipeline_id, context.num_input_pipelines)
        if context.num_replicas_in_sync == context.num_input_pipelines:
            return batches
        return batches.unbatch().batch(batch_size // context.num_replicas_in_sync, drop_remainder=True)

    return strategy.distribute_datasets_from_function(dataset)


def image_names(filenames, strategy: tf.distribute.Strategy) -> list[str]:
    """The names in several string `[B]`, each of them perhaps spread over devices."""
    return [
        os.fsdecode(name)
        for names in filenames
        for replica in strategy.experimental_local_results(names)
        for name in replica.numpy()
    ]


def mean_losses(metrics: dict[str, float], prefixes: dict[str, str]) -> str:
    """`seg 0.512  adv 0.693`: for each label the mean of the metrics that begin with its prefix, if there are any."""
    shown = []
    for label, prefix in prefixes.items():
        values = [value for name, value in metrics.items() if name.startswith(prefix)]
        if values:
            shown.append(f"{label} {sum(values) / len(values):.3f}")
    return "  ".join(shown)
