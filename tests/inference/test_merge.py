"""Max Merge and its variants against loops over pixels, and as parts of functions and exports."""

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.errors import UsageError
from msda_tf.evaluation.cross_source import Calibration
from msda_tf.inference import merge

SIZE = (2, 5, 7, 4)


def branches(count, seed=0, integers=False):
    generator = np.random.default_rng(seed)
    if integers:  # many ties
        return [generator.integers(0, 3, SIZE).astype(np.float32) for _ in range(count)]
    scales = generator.uniform(0.5, 8, count)
    return [(generator.normal(0, scale, SIZE)).astype(np.float32) for scale in scales]


def probabilities(logits):
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum()


def calibrations(count):
    """As different as may be, in whole numbers."""
    return [
        Calibration(1.0 + index, 0.5 * index, np.array([1, 2, 3, 4]) / (1 + index), "unseen", ("synthia",))
        for index in range(count)
    ]


def parts(count, rule):
    return merge.shares(rule, calibrations(count)) if rule in merge.CALIBRATED else None


def weighed(maps, rule, pixel, label):
    """The class's weighted mean of calibrated probabilities, over the sum of the weights."""
    total = weight_sum = 0.0
    for each, of in zip(maps, calibrations(len(maps)), strict=True):
        weight = {"calibrated-probability": 1.0, "weighted-probability": np.exp(-of.nll)}.get(rule)
        weight = of.class_weights[label] if weight is None else weight
        total += weight * probabilities(each[pixel] / of.temperature)[label]
        weight_sum += weight
    return total / weight_sum


def looped(maps, rule):
    labels, scores = np.zeros(SIZE[:3], np.uint8), np.zeros(SIZE[:3])
    for pixel in np.ndindex(*SIZE[:3]):
        best = -np.inf
        for label in range(SIZE[3]):
            if rule == "max-logit":
                value = max(float(each[pixel][label]) for each in maps)
            elif rule == "max-probability":
                value = max(probabilities(each[pixel])[label] for each in maps)
            elif rule in merge.CALIBRATED:
                value = weighed(maps, rule, pixel, label)
            else:
                value = sum(probabilities(each[pixel])[label] for each in maps) / len(maps)
            if value > best:
                best, labels[pixel] = value, label
        scores[pixel] = best
    return scores, labels


@pytest.mark.parametrize("rule", merge.RULES)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_equals_a_loop(rule, count):
    maps = branches(count)
    scores, labels = looped(maps, rule)
    merged_scores, merged = merge.merge_labels([tf.constant(each) for each in maps], rule, parts(count, rule))
    assert merged.dtype == tf.uint8
    np.testing.assert_array_equal(merged, labels)
    np.testing.assert_allclose(merged_scores, scores, rtol=1e-5)
    assert labels.std() > 0  # the case is not trivial


def test_the_rules_differ():
    """A loud branch beats a sure one by logit, a sure one beats two that doubt by probability but not by the mean."""
    loud = tf.constant([9.0, 8.9, 8.8])  # probabilities about 0.37, 0.33, 0.30
    sure = tf.constant([0.0, 4.0, 0.0])  # 0.02, 0.96, 0.02
    doubt = tf.constant([3.0, 0.0, 0.0])  # 0.91, 0.05, 0.05
    chosen = {
        rule: int(merge.merge_labels([x[None, None, None] for x in (loud, sure, doubt)], rule)[1][0, 0, 0])
        for rule in ("max-logit", "max-probability", "mean-probability")
    }
    assert chosen == {"max-logit": 0, "max-probability": 1, "mean-probability": 1}
    again = merge.merge_labels([x[None, None, None] for x in (sure, doubt, doubt)], "mean-probability")[1]
    assert int(again[0, 0, 0]) == 0


@pytest.mark.parametrize("rule", merge.RULES[:3])
def test_order_of_the_branches_does_not_matter_even_in_ties(rule):
    maps = branches(3, integers=True)
    expected = looped(maps, rule)[1] if rule == "max-logit" else None
    outcomes = [
        merge.merge_labels([tf.constant(maps[index]) for index in order], rule)[1].numpy()
        for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0))
    ]
    if rule == "mean-probability":  # sums of three in another order differ in the last bit: ties may fall otherwise
        assert np.mean(outcomes[0] == outcomes[1]) > 0.8
    else:
        np.testing.assert_array_equal(outcomes[0], outcomes[1])
        np.testing.assert_array_equal(outcomes[0], outcomes[2])
    if expected is not None:
        np.testing.assert_array_equal(outcomes[0], expected)


@pytest.mark.parametrize("rule", merge.RULES)
def test_merged_scores_agree_with_merged_labels(rule):
    maps = [tf.constant(each) for each in branches(3, seed=4)]
    scores, labels = merge.top_class(merge.merge_scores(maps, rule, parts(3, rule)))
    expected_scores, expected_labels = merge.merge_labels(maps, rule, parts(3, rule))
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_array_equal(scores, expected_scores)


def test_branches_are_taken_one_at_a_time():
    """A lazy iterable is never asked for the next map while more than one earlier map is alive."""
    import gc
    import weakref

    alive = []

    class Map(np.ndarray):
        pass

    def produce():
        for each in branches(4):
            gc.collect()
            assert sum(reference() is not None for reference in alive) <= 1
            lazy = each.view(Map)
            alive.append(weakref.ref(lazy))
            yield lazy
            del each, lazy

    merge.merge_labels(produce(), "max-logit")
    assert len(alive) == 4


@pytest.mark.parametrize("rule", merge.RULES)
def test_works_in_functions_xla_and_half_precision(rule):
    maps = [tf.constant(each) for each in branches(3)]
    own = parts(3, rule)
    eager = merge.merge_labels(maps, rule, own)[1]
    for jit in (False, True):
        compiled = tf.function(lambda a: merge.merge_labels(a, rule, own)[1], jit_compile=jit)(maps)
        np.testing.assert_array_equal(compiled, eager)
    scores, labels = merge.merge_labels([tf.cast(each, tf.bfloat16) for each in maps], rule, own)
    assert scores.dtype == tf.bfloat16
    assert np.mean(labels.numpy() == eager.numpy()) > 0.9


def test_exports_with_open_sizes(tmp_path):
    class Merged(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 4])] * 2)
        def serve(self, first, second):
            return {"label_map": merge.merge_labels([first, second])[1]}

    module = Merged()
    tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
    maps = branches(2)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    result = loaded(first=tf.constant(maps[0]), second=tf.constant(maps[1]))["label_map"]
    np.testing.assert_array_equal(result, looped(maps, "max-logit")[1])


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="no branch"):
        merge.merge_labels([])
    with pytest.raises(ValueError, match="no branch"):
        merge.merge_scores([], "mean-probability")
    with pytest.raises(ValueError, match="need the shares"):
        merge.merge_labels(branches(1), "weighted-probability")
    with pytest.raises(UsageError, match="S2 was scored on none.*--merge mean-probability"):
        merge.shares_of("weighted-probability", {"S1": calibrations(1)[0]}, ["S1", "S2"])
    with pytest.raises(ValueError, match="max-logit, max-probability, mean-probability"):
        merge.merge_labels(branches(1), "median")
