"""Nothing starts from scratch, or from an older checkpoint, without a word."""

import json
import os
import shutil
import signal

import pytest
from walk import Walk, trainer

from msda_tf.errors import MsdaError
from msda_tf.training import log, progress
from msda_tf.training.checkpoints import Checkpoints
from msda_tf.training.folder import TrainingFolder
from msda_tf.training.trainer import Interrupted


def finished(directory, *, earlier=False, **options):
    """The folder of a finished training; `earlier`: as earlier versions left it."""
    trainer(directory, Walk(), **options).run()
    folder = TrainingFolder(directory)
    if earlier:
        folder.progress.unlink()
    return folder


def refused(folder, message, **options):
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    with pytest.raises(MsdaError, match=message) as error:
        trainer(folder.path, Walk(), **options).run()
    assert "\n" not in str(error.value)
    after = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("every", [5, 100])
def test_checkpoints_that_are_gone(tmp_path, earlier, every):
    folder = finished(tmp_path, earlier=earlier, every=every)
    shutil.rmtree(folder.checkpoints)
    message = "checkpoints holds no checkpoint, but .*step 23.* bring the checkpoints back .*--restart"
    refused(folder, message, every=every)
    folder.checkpoints.mkdir()
    refused(folder, "holds no checkpoint, but", every=every)


def test_checkpoints_without_their_infos(tmp_path):
    folder = finished(tmp_path)
    for path in folder.checkpoints.glob("*/checkpoint.json"):
        path.unlink()
    refused(folder, "no whole checkpoint .*checkpoint.json is missing")


def test_the_newest_is_gone(tmp_path, caplog):
    folder = finished(tmp_path)
    shutil.rmtree(folder.checkpoints / "step-00000023")
    task = Walk()
    trainer(tmp_path, task).run()
    assert task.opened_at == 20
    assert "the checkpoint of step 23 is gone; going on from step 20" in caplog.text


def test_the_log_is_gone(tmp_path, caplog):
    folder = finished(tmp_path, steps=20)
    folder.log.unlink()
    trainer(tmp_path, Walk(), steps=23).run()
    assert "metrics.jsonl is gone: its curves will begin at step 20" in caplog.text
    assert log.read(folder.log)[0].step > 20


class Killed(BaseException):
    pass


@pytest.mark.parametrize("earlier", [False, True])
def test_a_kill_before_the_first_checkpoint_is_no_loss(tmp_path, earlier):
    def accident(batch):
        if batch == 4:
            raise Killed

    with pytest.raises(Killed):
        trainer(tmp_path, Walk(accident=accident, scores=[0.1]), evaluate_every=23).run()
    folder = TrainingFolder(tmp_path)
    assert [row.step for row in log.read(folder.log)] == [0, 2, 4]
    if earlier:
        folder.progress.unlink()
    trainer(tmp_path, Walk(scores=[0.1, 0.2]), evaluate_every=23).run()
    assert [row.step for row in log.read(folder.log)].count(0) == 1


def test_a_stop_before_the_first_checkpoint_that_is_lost(tmp_path):
    """Only the note knows: in the log there is nothing."""
    task = Walk(accident=lambda batch: os.kill(os.getpid(), signal.SIGTERM) if batch == 0 else None)
    with pytest.raises(Interrupted):
        trainer(tmp_path, task).run()
    folder = TrainingFolder(tmp_path)
    assert Checkpoints(folder.checkpoints).steps() == [1] and progress.noted(folder) == 1
    shutil.rmtree(folder.checkpoints)
    refused(folder, "one of step 1 was written")


def test_a_checkpoint_beyond_the_end(tmp_path):
    folder = finished(tmp_path, steps=23)
    refused(folder, "step-00000023 is beyond the 20 steps of this run", steps=20)


@pytest.mark.parametrize("text", ["{", "[]", '{"saved": "x"}', '{"saved": -1}', '{"saved": 1e3}', "{}", "\udcff"])
def test_a_damaged_note(tmp_path, text):
    folder = finished(tmp_path, steps=4)
    folder.progress.write_bytes(os.fsencode(text))
    refused(folder, "progress.json is damaged .*remove it", steps=4)


@pytest.mark.parametrize(
    "state",
    [
        {"metrics": []},
        {"metrics": {"loss": "low"}},
        {"rows": {}},
        {"rows": [1]},
        {"rows": [{"loss": []}]},
        {"best_score": "x"},
        {"best_step": -1},
        {"best_step": 1.5},
        {"seconds": "long"},
        {"seconds": 10**400},
    ],
)
def test_a_damaged_state(tmp_path, state):
    folder = finished(tmp_path, steps=4)
    path = folder.checkpoints / "step-00000004" / "checkpoint.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"state": info["state"] | state}))
    refused(folder, r"checkpoint.json is damaged \(state: .*\): take .*step-00000004 away", steps=4)


def test_a_binary_log(tmp_path):
    folder = finished(tmp_path, steps=4)
    folder.log.write_bytes(bytes(range(256)) * 10)
    refused(folder, "metrics.jsonl, line 1, is damaged", steps=6)
