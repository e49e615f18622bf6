"""Runs of earlier revisions are read as before: tests/golden/make_run.py says how what is compared was made."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from seeded import seeded

from msda_tf import files
from msda_tf.evaluate import evaluate
from msda_tf.runs import listing

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "run_66212a6.json").read_text())


class Node(tf.Module):
    """A part of a network, as a checkpoint sees it: nothing but names and what hangs on them."""


def value(key, shape):
    if len(shape) > 1:
        return (seeded(key, shape) * (2 / np.prod(shape[:-1])) ** 0.5).astype(np.float32)
    return (seeded(key, shape) * 0.2 + float(key.endswith("gamma"))).astype(np.float32)


def write(directory, kind, data):
    """The run directory as that revision wrote it, without any of today's networks or writers."""
    golden = GOLDEN[kind]
    checkpoint = directory / "networks" / golden["network"] / "checkpoints" / "step-00000010"
    checkpoint.mkdir(parents=True)
    roots = {}
    for key, shape in golden["checkpoint"].items():
        root, *parents, name = key.split("/")
        node = roots.setdefault(root, Node())
        for parent in parents:
            if not hasattr(node, parent):
                setattr(node, parent, Node())
            node = getattr(node, parent)
        setattr(node, name, tf.Variable(value(key, tuple(shape))))
    tf.train.Checkpoint(**roots).write(str(checkpoint / "weights"))
    hashes = {file.name: files.sha256(file) for file in sorted(checkpoint.iterdir())}
    state = {"metrics": {}, "best_score": None}
    files.write_json(checkpoint / "checkpoint.json", {"step": 10, "files": hashes, "state": state})
    (directory / "config.yaml").write_text(golden["config.yaml"])
    info = json.loads(json.dumps(golden["run.json"]))
    for name, known in info["datasets"].items():
        known["dataset.json"] = files.sha256(data / name / "dataset.json")  # PNG's bytes depend on the library
    files.write_json(directory / "run.json", info)
    return directory


@pytest.mark.parametrize("kind", GOLDEN)
def test_a_run_of_revision_66212a6_scores_as_it_did(kind, prepared_data, tmp_path):
    directory = write(tmp_path / kind, kind, prepared_data)
    found = evaluate([directory], data=prepared_data).metrics.matrices
    assert list(found) == list(GOLDEN[kind]["matrices"])
    for name, entries in GOLDEN[kind]["matrices"].items():
        expected = np.zeros_like(found[name])
        for row, column, count in entries:
            expected[row, column] = count
        # Another processor may round another way where two classes are equally likely.
        assert np.abs(found[name] - expected).sum() <= 2e-3 * expected.sum(), name
    summary = listing.summary(directory)
    assert (summary.state, summary.done) == ("finished", {GOLDEN[kind]["network"]: 10})
    assert summary.method == ("adversarial" if kind == "joint" else "supervised")
