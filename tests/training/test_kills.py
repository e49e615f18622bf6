"""Killed at any file operation, a training goes on as if nothing had happened; what lies there meanwhile is right.

A Python audit hook sees every file that is opened for writing, renamed or removed. At the chosen one it raises, and
from then on at all of them: as after SIGKILL, nothing more reaches the disk, whatever `finally` would do.
"""

import json
import os
import signal
import sys

import numpy as np
import pytest
import tensorflow as tf
from walk import Walk, trainer

from msda_tf.training import checkpoint_files, log
from msda_tf.training.checkpoints import Checkpoints
from msda_tf.training.folder import TrainingFolder
from msda_tf.training.trainer import Interrupted

SCORES = {0: 0.1, 2: 0.5, 4: 0.3, 6: 0.6}
BEST = {2: 2, 4: 2, 6: 6}
"""Step of the newest checkpoint -> that of the best one."""


class Killed(BaseException):
    pass


class _Disk:
    """Counts operations that change files, and ends the process, as it were, before or after one of them."""

    _CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.symlink")

    def __init__(self):
        self.active, self.dead, self.events, self.at, self.after = False, False, [], None, False
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if not self.active or not (event in self._CHANGES or (event == "open" and self._writes(arguments))):
            return
        if self.dead:
            raise Killed
        if len(self.events) == self.at:
            self.dead = True
            if self.after:  # an open file: it is there, and nothing in it
                self.active = False
                os.close(os.open(arguments[0], arguments[2] & ~os.O_EXCL, 0o644))
                self.active = True
            raise Killed
        self.events.append(event)

    @staticmethod
    def _writes(arguments):
        path, _, flags = arguments
        return isinstance(path, str | os.PathLike) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    def run(self, action, *, at=None, after=False):
        """The operations of `action`, up to the one at which it dies."""
        self.active, self.dead, self.events, self.at, self.after = True, False, [], at, after
        try:
            action()
        except Killed:
            assert self.dead
        finally:
            self.active = False
        return self.events


@pytest.fixture(scope="module")
def disk():
    return _Disk()


def train(directory, write=None):
    """To step 6, with a checkpoint and an evaluation every two steps; the last checkpoint and the best are kept."""
    start = Checkpoints(TrainingFolder(directory).checkpoints).steps()
    first = start[-1] if start else -1
    task = Walk(scores=[score for step, score in SCORES.items() if step > first])
    trainer(directory, task, steps=6, every=2, evaluate_every=2, keep=1).run()
    return task.weights.numpy()


def logged(directory):
    """The log without what depends on the clock or the machine."""
    names = ("loss", "miou", "learning_rate")
    return [(row.step, {n: row.values[n] for n in names if n in row.values}) for row in log.read(directory)]


def check(directory):
    """What whoever looks at the folder now must find."""
    folder = TrainingFolder(directory)
    checkpoints = Checkpoints(folder.checkpoints)
    whole = checkpoints.steps()
    assert all(checkpoint_files.damage(checkpoint_files.folder(folder.checkpoints, step)) is None for step in whole)
    assert set(checkpoint_files.folders(folder.checkpoints)) == set(whole)
    assert checkpoints.best() == (BEST[whole[-1]] if whole else None)
    assert not whole or checkpoints.best() in whole


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_file_operation(tmp_path, disk, after):
    expected = train(tmp_path / "whole")
    lines = logged(TrainingFolder(tmp_path / "whole").log)
    assert [step for step, _ in lines] == [0, 2, 2, 4, 4, 6, 6]
    events = disk.run(lambda: train(tmp_path / "counted"))
    assert len(events) > 60
    for at in [at for at, event in enumerate(events) if event == "open" or not after]:
        directory = tmp_path / str(at)
        assert disk.run(lambda d=directory: train(d), at=at, after=after) == events[:at]
        check(directory)
        weights = train(directory)
        check(directory)
        np.testing.assert_array_equal(weights, expected, err_msg=f"killed at operation {at}")
        assert logged(TrainingFolder(directory).log) == lines, at
        assert Checkpoints(TrainingFolder(directory).checkpoints).steps() == [6]
        assert not list(directory.rglob(".*")), at


def test_a_kill_while_tensorflow_writes(tmp_path, monkeypatch):
    expected = train(tmp_path / "whole")
    write = tf.train.Checkpoint.write

    def half(self, path, *arguments, **options):
        write(self, path, *arguments, **options)
        os.truncate(f"{path}.data-00000-of-00001", 3)
        raise Killed

    for step in (0, 2, 4):
        directory = tmp_path / str(step)
        if step:
            trainer(directory, Walk(scores=[0.1, 0.5, 0.3]), steps=step, every=2, evaluate_every=2, keep=1).run()
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(tf.train.Checkpoint, "write", half)
            train(directory)
        check(directory)
        np.testing.assert_array_equal(train(directory), expected)


def test_a_kill_with_half_a_line_in_the_log(tmp_path):
    trainer(tmp_path, Walk(scores=[0.1, 0.5]), steps=2, every=2, evaluate_every=2, keep=1).run()
    with open(TrainingFolder(tmp_path).log, "a") as file:
        file.write('{"step": 4, "lo')
    train(tmp_path)
    assert [step for step, _ in logged(TrainingFolder(tmp_path).log)] == [0, 2, 2, 4, 4, 6, 6]


def test_signals_leave_no_trace_in_the_log(tmp_path):
    """An interruption between two lines: the next line is still the mean over all steps since the last one."""
    trainer(tmp_path / "whole", Walk(), steps=10, every=4).run()
    for number in (1, 2, 5):
        task = Walk(accident=lambda b, at=number: os.kill(os.getpid(), signal.SIGTERM) if b == at else None)
        with pytest.raises(Interrupted):
            trainer(tmp_path / "stopped", task, steps=10, every=4).run()
    trainer(tmp_path / "stopped", Walk(), steps=10, every=4).run()
    assert logged(tmp_path / "stopped" / "metrics.jsonl") == logged(tmp_path / "whole" / "metrics.jsonl")


def test_what_killed_processes_left_is_removed(tmp_path):
    train(tmp_path / "run")
    folder = TrainingFolder(tmp_path / "run")
    for name in (".step-00000007.part", ".step-00000007.1.part", ".step-00000004.1.old.part"):
        (folder.checkpoints / name).mkdir()
        (folder.checkpoints / name / "weights.index").write_text("")
    (folder.checkpoints / ".best.1.part").write_text("step-00000002\n")
    (folder.path / ".metrics.jsonl.1.part").write_text("")
    train(tmp_path / "run")
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000006"]
    assert not list(folder.path.glob(".*"))


def test_the_best_of_an_earlier_version(tmp_path):
    """There, a file beside the checkpoints named it, and was stale for a moment; it goes with the next checkpoint."""
    trainer(tmp_path, Walk(scores=[0.1, 0.5, 0.3]), steps=4, every=2, evaluate_every=2, keep=1).run()
    folder = TrainingFolder(tmp_path)
    for step in (2, 4):
        path = checkpoint_files.folder(folder.checkpoints, step) / checkpoint_files.INFO
        info = json.loads(path.read_text())
        del info["best"], info["state"]["best_step"], info["state"]["rows"]
        path.write_text(json.dumps(info))
    assert Checkpoints(folder.checkpoints).best() is None
    (folder.checkpoints / "best").write_text("step-00000002\n")
    assert Checkpoints(folder.checkpoints).best() == 2
    folder.progress.unlink()
    trainer(tmp_path, Walk(scores=[0.4]), steps=6, every=2, evaluate_every=2, keep=1).run()
    assert Checkpoints(folder.checkpoints).best() == 2 and Checkpoints(folder.checkpoints).steps() == [2, 6]
    assert not (folder.checkpoints / "best").exists()
