"""The loop, on a task of a few numbers: stop it anywhere, and it ends as if it had never stopped."""

import json
import os
import pathlib
import signal
import time

import numpy as np
import pytest
import tensorflow as tf
from walk import Walk, trainer

from msda_tf.errors import MsdaError
from msda_tf.training.checkpoints import Checkpoints
from msda_tf.training.trainer import LARGEST_LOSS, Interrupted, Schedule, Trainer
from msda_tf.training.workers import Workers


def finished(directory):
    task = Walk()
    trainer(directory, task).run()
    return task.weights.numpy()


def test_a_killed_run_ends_as_an_uninterrupted_one(tmp_path):
    expected = finished(tmp_path / "whole")

    class Killed(BaseException):
        pass

    def kill_at(step):
        def accident(batch):
            if batch == step:
                raise Killed

        return accident

    for death in (3, 5, 14, 22):
        with pytest.raises(Killed):
            trainer(tmp_path / "killed", Walk(accident=kill_at(death))).run()
    task = Walk()
    trainer(tmp_path / "killed", task).run()
    assert task.opened_at == 20
    np.testing.assert_array_equal(task.weights.numpy(), expected)
    whole, resumed = ((tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "killed"))
    assert [json.loads(line)["step"] for line in whole] == [json.loads(line)["step"] for line in resumed]
    assert [json.loads(line)["loss"] for line in whole] == [json.loads(line)["loss"] for line in resumed]


def test_a_finished_run_does_nothing_more(tmp_path):
    finished(tmp_path)
    task = Walk()
    outcome = trainer(tmp_path, task).run()
    assert task.opened_at is None
    assert outcome.metrics["loss"] == pytest.approx(np.mean([22]))
    assert outcome.headline == "loss 22.0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number, request):
    if signal.getsignal(number) == signal.SIG_IGN:  # tests that nohup started; training would ignore it, too
        request.addfinalizer(lambda: signal.signal(number, signal.SIG_IGN))
        signal.signal(number, signal.SIG_DFL)
    expected = finished(tmp_path / "whole")
    before = signal.getsignal(number)
    task = Walk(accident=lambda batch: os.kill(os.getpid(), number) if batch == 11 else None)
    with pytest.raises(Interrupted, match=rf"{number.name}: saved walk at step 12 of 23; to continue, run the same"):
        trainer(tmp_path / "stopped", task).run()
    assert signal.getsignal(number) == before
    task = Walk()
    trainer(tmp_path / "stopped", task).run()
    assert task.opened_at == 12
    np.testing.assert_array_equal(task.weights.numpy(), expected)


@pytest.fixture
def ctrl_c_interrupts():
    """As at a terminal: what a shell starts in the background of a script ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_a_second_ctrl_c_stops_at_once(tmp_path):
    def accident(batch):
        if batch == 3:
            # To this very thread: two signals to the process can arrive as one.
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, Walk(accident=accident)).run()


def test_a_loss_that_is_not_finite_stops_with_its_images(tmp_path):
    task = Walk(accident=lambda batch: float("nan") if batch == 12 else None)
    with pytest.raises(
        MsdaError, match=r"walk: loss loss is nan at step 13, with images image12.png; last good .*00000010"
    ):
        trainer(tmp_path, task).run()
    assert Checkpoints(tmp_path / "checkpoints").steps() == [5, 10]


def test_a_loss_that_explodes_stops_too(tmp_path):
    """At the documented bound nothing happens; beyond it the run ends, whatever the sign."""
    trainer(tmp_path / "large", Walk(accident=lambda batch: LARGEST_LOSS if batch == 12 else None)).run()
    task = Walk(accident=lambda batch: -1.01 * LARGEST_LOSS if batch == 12 else None)
    with pytest.raises(MsdaError, match=r"loss loss is -10100.* at step 13, with images image12.png; last good .*010"):
        trainer(tmp_path / "exploded", task).run()
    assert Checkpoints(tmp_path / "exploded" / "checkpoints").steps() == [5, 10]


def test_the_outcome_covers_the_whole_run_and_the_best_step(tmp_path):
    """Also of a run in two parts, and of one that was finished before."""
    first = trainer(tmp_path, Walk(scores=[0.1, 0.5, 0.4]), steps=10, evaluate_every=5).run()
    assert (first.best_score, first.best_step) == (0.5, 5)
    # Slower than whatever holds the first one up after its last checkpoint, where the time that is kept ends.
    slow = Walk(scores=[0.45, 0.7], accident=lambda batch: time.sleep(0.05))
    second = trainer(tmp_path, slow, steps=20, evaluate_every=5).run()
    assert (second.best_score, second.best_step) == (0.7, 20)
    assert second.seconds > first.seconds > 0
    assert second.images_per_second == pytest.approx(20 / second.seconds)
    third = trainer(tmp_path, Walk(), steps=20, evaluate_every=5).run()
    assert (third.best_score, third.best_step, third.metrics["loss"]) == (0.7, 20, second.metrics["loss"])
    assert first.seconds < third.seconds <= second.seconds


def test_memory_is_logged(tmp_path):
    status = pathlib.Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("no /proc to compare with")
    finished(tmp_path)
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    peak = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    assert row["memory/process"] == pytest.approx(int(peak) / 2**20, rel=0.02)


def test_a_diverged_step_never_becomes_a_checkpoint(tmp_path):
    """The loss is looked at in time even where a checkpoint is due before the next log line."""
    task = Walk(accident=lambda batch: float("inf") if batch == 4 else None)
    with pytest.raises(MsdaError, match="loss loss is inf at step 5"):
        trainer(tmp_path, task).run()
    assert Checkpoints(tmp_path / "checkpoints").steps() == []


def test_the_last_and_the_best_checkpoints_are_kept(tmp_path):
    task = Walk(scores=[0.9, 0.3, 0.5, 0.4, 0.2, 0.1])  # the untrained network's score comes first and selects nothing
    trainer(tmp_path, task, evaluate_every=5).run()
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.steps() == [10, 20, 23]
    assert checkpoints.best() == 10


def test_the_best_score_survives_a_restart(tmp_path):
    trainer(tmp_path, Walk(scores=[0.1, 0.5, 0.4]), steps=10, evaluate_every=5).run()
    trainer(tmp_path, Walk(scores=[0.45, 0.3]), steps=20, evaluate_every=5).run()
    assert Checkpoints(tmp_path / "checkpoints").best() == 5


class Pair(Workers):
    """One of two workers; what the other one gives to the k-th `gather` is `others.get(k, the same)`."""

    def __init__(self, index, others):
        super().__init__(index=index, count=2)
        self.others, self.calls = others, 0

    def gather(self, value):
        other = self.others.get(self.calls, value)
        self.calls += 1
        return [value, other]


def paired(directory, *, index=0, others, scores=()):
    schedule = Schedule(steps=23, checkpoint_every=5, keep_checkpoints=2, evaluate_every=5 if scores else 0)
    return Trainer(Walk(scores=scores), directory, schedule=schedule, workers=Pair(index, others))


@pytest.mark.parametrize("index", [0, 1])
def test_a_signal_to_another_worker_stops_this_one_after_the_same_step(tmp_path, index):
    # The first two gatherings are about the checkpoint, then there is one after every step.
    with pytest.raises(Interrupted, match=r"SIGTERM: saved walk at step 8 of 23"):
        paired(tmp_path, index=index, others={9: int(signal.SIGTERM)}).run()
    assert Checkpoints(tmp_path / "checkpoints").steps() == ([5, 8] if index == 0 else [])


def test_only_the_chief_writes_and_evaluates(tmp_path):
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    outcome = paired(tmp_path / "other", index=1, others={}, scores=scores).run()
    assert outcome.metrics["loss"] > 0 and outcome.best_score is None
    assert not list((tmp_path / "other").iterdir())
    outcome = paired(tmp_path / "chief", index=0, others={}, scores=scores).run()
    assert (outcome.best_score, outcome.best_step) == (0.6, 23)
    assert (tmp_path / "chief" / "metrics.jsonl").is_file()


def test_workers_that_see_different_checkpoints_do_not_start(tmp_path):
    finished(tmp_path)
    with pytest.raises(MsdaError, match=r"workers found checkpoints of different steps \(20, 23\).* file system"):
        paired(tmp_path, others={1: 20}).run()


def objects(value):
    return {"model": tf.train.Checkpoint(weights=tf.Variable(value))}


def saved(directory, *steps):
    checkpoints = Checkpoints(directory, keep=5)
    for step in steps:
        checkpoints.save(objects([float(step)]), step=step, state={"metrics": {}, "best_score": None})
    return checkpoints


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "json"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, caplog, damage):
    checkpoints = saved(tmp_path, 1, 2)
    weights = next((tmp_path / "step-00000002").glob("weights.data*"))
    content = bytearray(weights.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "truncate":
        weights.write_bytes(content[:-1])
    elif damage == "remove":
        weights.unlink()
    else:
        (tmp_path / "step-00000002" / "checkpoint.json").write_text('{"step": 2')
    found = objects([0.0])
    step, _ = checkpoints.restore(found)
    assert step == 1
    assert found["model"].weights.numpy() == [1.0]


def test_nothing_but_damaged_checkpoints_is_an_error(tmp_path):
    checkpoints = saved(tmp_path, 1)
    next((tmp_path / "step-00000001").glob("weights.data*")).write_bytes(b"")
    with pytest.raises(MsdaError, match="no whole checkpoint .*does not match its checksum.*--restart"):
        checkpoints.restore(objects([0.0]))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    checkpoints = saved(tmp_path, 1)
    with pytest.raises(MsdaError, match="another network"):
        checkpoints.restore(objects([0.0, 1.0]))


def test_half_a_checkpoint_is_none(tmp_path):
    checkpoints = saved(tmp_path, 1)
    (tmp_path / ".step-00000002.part").mkdir()
    (tmp_path / "step-00000003").mkdir()
    assert checkpoints.steps() == [1]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("msda_tf.files.write_json", full)
    with pytest.raises(
        MsdaError, match="No space left on device.*free some space.*last good checkpoint is .*step-00000001"
    ):
        checkpoints.save(objects([2.0]), step=2, state={})
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert checkpoints.restore(objects([0.0]))[0] == 1
