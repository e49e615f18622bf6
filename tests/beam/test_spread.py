"""Tasks on workers that are processes of their own: every one is done, whatever happens to a worker."""

import os

import pytest
from beam_jobs import ONE, TWO, Double, workers_find_this

import msda_tf
from msda_tf.beam.spread import FOLDER, spread
from msda_tf.errors import MsdaError

pytest.importorskip("apache_beam", reason="needs the extra beam")
__all__ = ["workers_find_this"]

TASKS = [{"value": value} for value in range(9)]


@pytest.fixture(autouse=True)
def found(workers_find_this):
    """Jobs are imported by workers."""


def test_a_worker_that_dies_is_replaced_and_what_is_done_stays_done(tmp_path):
    outcomes = dict(spread(Double(tmp_path, dies_once_at=4), TASKS, TWO, tmp_path))
    assert outcomes == {number: {"twice": 2 * number} for number in range(9)}
    assert (tmp_path / "died").exists()
    done_by = [(tmp_path / f"did-{number}").read_text().split() for number in range(9)]
    # At most what the other worker had in hand was done again.
    assert sum(len(processes) for processes in done_by) <= 10
    assert len({process for processes in done_by for process in processes}) >= 3
    assert str(os.getpid()) not in {process for processes in done_by for process in processes}
    assert not (tmp_path / FOLDER).exists()


def test_a_task_that_kills_every_worker_is_given_up(tmp_path):
    outcomes = {}
    with pytest.raises(MsdaError, match=r"DirectRunner failed 4 times with 1 of 3 tasks left: .+log\.txt"):
        outcomes.update(spread(Double(tmp_path, dies_at=2), TASKS[:3], ONE, tmp_path))
    assert [(tmp_path / f"did-{number}").exists() for number in range(3)] == [True, True, False]
    assert (tmp_path / FOLDER / "log.txt").exists()


def test_an_error_of_ours_ends_it_in_its_own_words(tmp_path):
    with pytest.raises(MsdaError, match="^no number 1: choose another$"):
        list(spread(Double(tmp_path, fails_at=1), TASKS, ONE, tmp_path))


def test_workers_must_have_the_same_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(msda_tf, "__version__", "9.9")
    with pytest.raises(MsdaError, match=r"a worker on .+ has msda-tf .+, and 9\.9 started the work: install the same"):
        list(spread(Double(tmp_path), TASKS, ONE, tmp_path))
    assert not list(tmp_path.glob("did-*"))


def test_workers_must_see_the_folders(tmp_path):
    job = Double(tmp_path, folders=(tmp_path / "elsewhere",))
    with pytest.raises(MsdaError, match=r"a worker on .+ sees no .+elsewhere: every worker must mount the same"):
        list(spread(job, TASKS, ONE, tmp_path))
    assert not list(tmp_path.glob("did-*"))


def test_nothing_to_do_starts_nothing(tmp_path):
    assert list(spread(Double(tmp_path), [], TWO, tmp_path)) == []
    assert not os.listdir(tmp_path)
