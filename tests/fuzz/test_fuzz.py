"""A few seconds of what `make fuzz` does for ten minutes: some seeds of every case that needs no network."""

import pytest
from fuzz import cases, run, world

SECONDS_EACH = ("whole_run", "init")


@pytest.fixture(scope="module")
def small_world(tmp_path_factory, trained_run):
    return world.make(tmp_path_factory.mktemp("fuzz"), trained_run.directory)


@pytest.mark.parametrize("name", [name for name in cases.ALL if name not in SECONDS_EACH])
def test_every_answer_is_success_or_a_line(small_world, name):
    for seed in range(3):
        outcome = run.one(seed, small_world, name)
        assert outcome.fault is None, f"make fuzz FUZZ_SEED={seed} FUZZ_CASE={name}: {outcome}"


def test_a_seed_is_the_same_case_again(small_world):
    first, again = (run.one(7, small_world, "data_set") for _ in range(2))
    assert first.case == again.case == "data_set"
    assert first.words.partition("fuzz-7-")[0] == again.words.partition("fuzz-7-")[0]
