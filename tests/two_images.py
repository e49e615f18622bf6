"""A batch of two images of each domain, spread over one device or two."""

import tensorflow as tf


def spread(sources: list[dict], target: dict, strategy: tf.distribute.Strategy) -> dict:
    """What `strategy.run` gives each replica its part of; a domain's `mean` belongs to all."""
    size = 2 // strategy.num_replicas_in_sync

    def parts(domain):
        def part(context):
            first = context.replica_id_in_sync_group * size
            return {name: array if name == "mean" else array[first : first + size] for name, array in domain.items()}

        return strategy.experimental_distribute_values_from_function(part)

    return {"sources": [parts(source) for source in sources], "target": parts(target)}
