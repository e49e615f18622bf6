"""The order of images: permutations, independence, and no dependence on where one starts."""

import numpy as np
import pytest

from msda_tf.data.order import PooledSchedule, permutation, shuffled_records


def stream(count, *, size, first=0):
    """The first positions and records, int64 `[count, 2]`."""
    pairs = shuffled_records(size, seed=3, stream="gta5", first=first).take(count).batch(count).get_single_element()
    return np.stack([column.numpy() for column in pairs], axis=1)


def test_every_epoch_is_another_permutation():
    epochs = stream(4 * 50, size=50)[:, 1].reshape(4, 50)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(50), (4, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_any_position_can_be_the_first():
    once = stream(100, size=7)
    np.testing.assert_array_equal(once[:, 0], np.arange(100))
    for first in (1, 6, 7, 8, 50):
        np.testing.assert_array_equal(stream(20, size=7, first=first), once[first : first + 20])
    assert stream(1, size=7, first=10**15)[0, 0] == 10**15


def test_seed_and_stream_change_the_order():
    def first(seed, stream):
        return tuple(permutation(40, seed=seed, stream=stream, epoch=0).numpy())

    assert len({first(0, "a"), first(1, "a"), first(0, "b"), first(2**70, "a")}) == 4


def test_the_order_is_the_same_in_every_release():
    # A run must go on in the same order after an upgrade: these values may never change.
    assert permutation(8, seed=1, stream="gta5/order", epoch=2).numpy().tolist() == [5, 6, 4, 7, 0, 1, 3, 2]


def test_permutations_are_uniform():
    counts = np.zeros((6, 6), int)
    for epoch in stream(6 * 6000, size=6)[:, 1].reshape(6000, 6):
        counts[np.arange(6), epoch] += 1
    # Binomial with mean 1000 and standard deviation 29: five of them is out of reach for a uniform order.
    assert np.abs(counts - 1000).max() < 145


def replayed(schedule, steps):
    """The plain loop that `batches_before` must agree with."""
    counts, rows = np.zeros(3, int), []
    for step in range(steps):
        rows.append(counts.copy())
        counts[schedule.data_set(step)] += 1
    return np.array(rows)


@pytest.mark.parametrize("sampling", ["concat", "balanced"])
def test_batch_numbers_equal_a_replay(sampling):
    schedule = PooledSchedule([10, 31, 2], batch_size=2, sampling=sampling, seed=5)
    expected = replayed(schedule, 200)
    fresh = PooledSchedule([10, 31, 2], batch_size=2, sampling=sampling, seed=5)
    np.testing.assert_array_equal([fresh.batches_before(step) for step in range(200)], expected)


def test_concat_draws_in_proportion_to_size():
    schedule = PooledSchedule([24966, 9400], batch_size=1, sampling="concat", seed=0)
    np.testing.assert_array_equal(schedule.batches_before(24966 + 9400), [24966, 9400])
    early = schedule.batches_before(2000)
    assert early.sum() == 2000
    # Hypergeometric: 1453 expected from the first, standard deviation 19.
    assert abs(early[0] - 1453) < 95


def test_balanced_draws_each_equally_often_in_changing_order():
    schedule = PooledSchedule([1000, 10, 100], batch_size=4, sampling="balanced", seed=0)
    rounds = np.array([schedule.data_set(step) for step in range(300)]).reshape(100, 3)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), np.tile(np.arange(3), (100, 1)))
    assert len({tuple(row) for row in rounds}) == 6


def test_a_data_set_smaller_than_a_batch_still_takes_part():
    schedule = PooledSchedule([100, 3], batch_size=10, sampling="concat", seed=0)
    np.testing.assert_array_equal(schedule.batches_before(11), [10, 1])


def test_unknown_sampling_is_refused():
    with pytest.raises(ValueError, match="concat or balanced"):
        PooledSchedule([1, 2], batch_size=1, sampling="uniform", seed=0)
