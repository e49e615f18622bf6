"""The fused Adam of this project beside Keras' own, on the same gradients: seconds and operations of one update.

    python benchmarks/optimizer.py
    python benchmarks/optimizer.py --backbone tiny --rounds 50

Rounds alternate between the two, so that other jobs on the machine disturb both alike; compare ratios.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet101", help="whose variables are updated")
    parser.add_argument("--rounds", type=int, default=15, help="updates of each, after two that do not count")
    parser.add_argument("--threads", type=int, default=2, help="of TensorFlow")
    options = parser.parse_args()

    import keras
    import tensorflow as tf

    from msda_tf.models.segmenter import MultiSourceSegmenter
    from msda_tf.training.optimizers import make_optimizer

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)

    def contestant(make):
        segmenter = MultiSourceSegmenter(branches=("S1", "S2"), backbone=options.backbone, norm="group")
        segmenter.create_variables()
        variables = segmenter.generator_variables
        optimizer = make(variables)
        update = tf.function(lambda gradients: optimizer.apply(gradients, variables))
        gradients = [tf.random.stateless_normal(variable.shape, [1, 2]) for variable in variables]
        operations = len(update.get_concrete_function(gradients).graph.get_operations())

        def run():
            start = time.perf_counter()
            update(gradients)
            variables[-1].numpy()
            return time.perf_counter() - start

        return run, operations, sum(variable.shape.num_elements() for variable in map(tf.convert_to_tensor, variables))

    def stock(variables):
        optimizer = keras.optimizers.Adam(1e-4, epsilon=1e-8)
        optimizer.build(variables)
        return optimizer

    contestants = {
        "fused": contestant(lambda variables: make_optimizer("adam", 1e-4, variables=variables)),
        "keras": contestant(stock),
    }
    seconds = {name: [] for name in contestants}
    for number in range(options.rounds + 2):
        for name, (run, _, _) in contestants.items():
            taken = run()
            if number >= 2:
                seconds[name].append(taken)
    for name, (_, operations, parameters) in contestants.items():
        median = statistics.median(seconds[name])
        print(f"{name}: {median * 1000:.1f} ms, {operations} operations, {parameters / 1e6:.2f} M parameters")
    print(f"keras / fused: {statistics.median(seconds['keras']) / statistics.median(seconds['fused']):.2f}")


if __name__ == "__main__":
    main()
