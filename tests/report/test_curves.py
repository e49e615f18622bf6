"""Training curves as they are read from the logs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from msda_tf.errors import MsdaError
from msda_tf.report import curves


def networks(folder, *texts):
    """Stand-ins of trained networks, each with the branches S1 and S2 shown as "S1 (a)" and "S2"."""
    found = []
    for number, text in enumerate(texts):
        (folder / f"n{number}").mkdir()
        if text is not None:
            (folder / f"n{number}" / "metrics.jsonl").write_text(text)
        found.append(SimpleNamespace(network=folder / f"n{number}"))
    member = SimpleNamespace(branches={"S1 (a)": "S1", "S2": "S2"})
    return SimpleNamespace(checkpoints=found, inference=SimpleNamespace(members=[member] * len(texts)))


def line(step, **values):
    return json.dumps({"step": step} | {name.replace("__", "/"): value for name, value in values.items()}) + "\n"


def test_names_levels_and_gaps(tmp_path):
    text = line(0, miou__S1=0.1, **{"miou/Max Merge": 0.2})
    text += line(10, seg__output__S1=2.0, seg__feature__S2=3.0, gradient_norm__generator=9.0, images_per_second=4.0)
    text += line(20, seg__output__S1=None, seg__feature__S2=1.0) + '{"step": 30, "seg/outp'
    found = {(c.kind, c.level, c.branch): c for c in curves.read(networks(tmp_path, text, None))}
    assert set(found) == {
        ("miou", "", "S1 (a)"),
        ("miou", "", "S1 (a) + S2 merged"),
        ("seg", "output", "S1 (a)"),
        ("seg", "feature", "S2"),
    }
    curve = found["seg", "feature", "S2"]
    assert (curve.steps.tolist(), curve.values.tolist()) == ([10, 20], [3, 1])
    assert found["seg", "output", "S1 (a)"].steps.tolist() == [10]


def test_damage_before_the_last_line_is_named(tmp_path):
    with pytest.raises(MsdaError, match="metrics.jsonl, line 1, is damaged"):
        curves.read(networks(tmp_path, "{\n" + line(10, seg__output__S1=2.0)))


def test_long_curves_are_thinned_to_means():
    points = np.random.default_rng(0).normal(size=(5000, 2))
    steps, values = curves.thinned(points)
    assert len(steps) == len(values) == curves.MOST_POINTS
    np.testing.assert_allclose(values, points[:, 1].reshape(200, 25).mean(1))
    np.testing.assert_allclose(np.stack(curves.thinned(points[:7])), points[:7].T)
