"""Checkpoints: damaged ones are told and passed over, foreign ones refused, and any folder's name will do."""

import json
import os
import re
import shutil

import pytest
import tensorflow as tf

from msda_tf.errors import MsdaError
from msda_tf.training import checkpoint_files, checkpoint_graph
from msda_tf.training.checkpoints import Checkpoints


def objects(value=0.0, **more):
    return {"model": tf.train.Checkpoint(weights=tf.Variable([value])), **more}


def saved(directory, *steps, keep=5, best=None):
    checkpoints = Checkpoints(directory, keep=keep)
    for step in steps:
        checkpoints.save(objects(float(step)), step=step, state={"metrics": {}}, best=best)
    return checkpoints


def restored(checkpoints):
    """(step, weight) of the newest whole one."""
    found = objects()
    step, _ = checkpoints.restore(found)
    return step, found["model"].weights.numpy()[0]


NAMES = ["lr=[1e-4]", "a*b", "what?", "back\\slash", "{a,b}", "$HOME", "~", "ümlaut", "line\nfeed"]


@pytest.mark.parametrize("name", [*NAMES, os.fsdecode(b"latin-\xdf")])
def test_folders_of_any_name(tmp_path, name):
    checkpoints = saved(tmp_path / name, 1, 2)
    assert restored(checkpoints) == (2, 2.0)
    prefix = checkpoint_files.weights(checkpoint_files.folder(tmp_path / name, 2))
    assert list(checkpoint_graph.keys(prefix, "model")) == ["weights"]


def write_info(folder, changes):
    path = folder / checkpoint_files.INFO
    value = json.loads(path.read_text())
    for key, change in changes.items():
        if change is None:
            del value[key]
        else:
            value[key] = change
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "two"},
        {"step": 1_000_000_000},
        {"step": 7},
        {"step": None},
        {"step": -2},
        {"step": 2.0},
        {"step": True},
        {"files": []},
        {"files": {}},
        {"files": ["weights.index"]},
        {"files": {"weights.index": 3}},
        {"files": {"../../secret": "0" * 64}},
        {"files": None},
        {"state": []},
        {"state": "x"},
        {"state": None},
        {"best": "step-00000002"},
        {"best": 10**40},
    ],
)
def test_a_damaged_info_is_passed_over_with_a_word(tmp_path, caplog, changes):
    checkpoints = saved(tmp_path, 1, 2, best=1)
    write_info(tmp_path / "step-00000002", changes)
    assert restored(checkpoints) == (1, 1.0)
    assert "step-00000002: checkpoint.json" in caplog.text and "trying the checkpoint before it" in caplog.text
    assert checkpoints.best() == 1


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe\x00", b"[" * 100_000, b'{"step": ' + b"9" * 5000 + b"}", b"[1]"]
)
def test_a_missing_or_unreadable_info_is_passed_over_with_a_word(tmp_path, caplog, content):
    checkpoints = saved(tmp_path, 1, 2)
    path = tmp_path / "step-00000002" / "checkpoint.json"
    path.unlink() if content is None else path.write_bytes(content)
    assert restored(checkpoints) == (1, 1.0)
    assert "step-00000002: checkpoint.json" in caplog.text
    path = tmp_path / "step-00000001" / "checkpoint.json"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(MsdaError, match="no whole checkpoint .*checkpoint.json.*from a copy, or start over") as error:
        checkpoints.restore(objects())
    assert "\n" not in str(error.value)


def test_an_info_that_is_no_file_does_not_block(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    path = tmp_path / "step-00000002" / "checkpoint.json"
    path.unlink()
    os.mkfifo(path)
    assert restored(checkpoints) == (1, 1.0)


def test_names_that_are_no_steps_are_nobodys_business(tmp_path):
    checkpoints = saved(tmp_path, 1)
    for name in ("step-abcdefgh", "step-0000000٢", "step-00000002x", "other"):
        shutil.copytree(tmp_path / "step-00000001", tmp_path / name)
    assert checkpoints.steps() == [1] and restored(checkpoints) == (1, 1.0)


def test_a_damaged_newer_one_does_not_push_out_the_only_good_one(tmp_path):
    """With keep=1 the last by number is the damaged one; what was just written must stay."""
    checkpoints = saved(tmp_path, 1, 3, keep=2)
    (tmp_path / "step-00000003" / "checkpoint.json").write_text("{")
    checkpoints.keep = 1
    checkpoints.save(objects(2.0), step=2, state={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002"]
    assert restored(checkpoints) == (2, 2.0)


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1)

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.listdir", refused)
    with pytest.raises(MsdaError, match="cannot be read: Permission denied"):
        checkpoints.restore(objects())


def test_training_that_replaces_a_checkpoint_meanwhile_is_no_damage(tmp_path, monkeypatch):
    """Evaluation beside a training with keep_checkpoints=1."""
    checkpoints = saved(tmp_path, 1, keep=1)
    damage = checkpoint_files.damage

    def replaced(path, **options):
        monkeypatch.undo()
        checkpoints.save(objects(2.0), step=2, state={})
        return damage(path, **options)

    monkeypatch.setattr("msda_tf.training.checkpoint_files.damage", replaced)
    assert restored(checkpoints) == (2, 2.0)


def test_what_the_checkpoint_holds_beyond_is_left_over_only_where_it_may_be(tmp_path):
    """A variable that two objects hold is stored under the shorter path: names of files' keys do not tell."""
    shared = tf.Variable([5.0])
    model = tf.train.Checkpoint(deep=tf.train.Checkpoint(weights=tf.Variable([1.0]), more=shared))
    optimizer = tf.train.Checkpoint(more=shared, slot=tf.Variable([9.0]))
    Checkpoints(tmp_path).save({"model": model, "an_optimizer": optimizer}, step=1, state={})

    def restore(left_over, **ours):
        wanted = {"model": tf.train.Checkpoint(deep=tf.train.Checkpoint(**ours))}
        return Checkpoints(tmp_path).restore(wanted, left_over=re.compile(left_over))

    both = {"weights": tf.Variable([0.0]), "more": tf.Variable([0.0])}
    assert restore(r"\w+_optimizer", **both)[0] == 1
    assert [float(each[0]) for each in both.values()] == [1.0, 5.0]
    with pytest.raises(MsdaError, match=r"another network .*it holds model/deep/more.*was config.yaml edited"):
        restore(r"\w+_optimizer", weights=tf.Variable([0.0]))
    assert restore(r"\w+_optimizer|model/deep/more", weights=tf.Variable([0.0]))[0] == 1
    with pytest.raises(MsdaError, match=r"it holds an_optimizer/slot"):
        restore("nothing", **both)


def test_a_checkpoint_that_was_asked_for_is_not_replaced_by_another(tmp_path):
    checkpoints = saved(tmp_path, 1, 2, 3)
    (tmp_path / "step-00000002" / "weights.index").write_bytes(b"")
    with pytest.raises(MsdaError, match="step-00000002 cannot be used .weights.index does not match"):
        checkpoints.restore(objects(), step=2)
    with pytest.raises(MsdaError, match="step-00000009 cannot be used .checkpoint.json is missing"):
        checkpoints.restore(objects(), step=9)
