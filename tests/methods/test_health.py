"""Discriminators out of balance and waiting for images are named; what is well, and short trainings, are not."""

import json

from msda_tf.methods import health
from msda_tf.training import log


def warnings(tmp_path, *accuracies, rows=40):
    """Of a log whose discriminators begin at chance and stay at these accuracies after a fifth of the training."""
    path = tmp_path / "metrics.jsonl"
    path.unlink(missing_ok=True)
    for row in range(1, rows + 1):
        values = {f"disc_accuracy/output/S{n}": 0.5 if row <= rows / 5 else a for n, a in enumerate(accuracies, 1)}
        log.append(path, 10 * row, {"seg/output/S1": 1.0, **values})
    return health.warnings(log.read(path))


def test_who_is_out_of_balance_is_named(tmp_path):
    dead, won = warnings(tmp_path, 0.51, 0.75, 0.999)
    assert (
        dead.startswith("the discriminator output/S1 is right on 51 % of the pixels since step 330") and "raise" in dead
    )
    assert (
        won.startswith("the discriminator output/S3 is right on 100 % of the pixels since step 330") and "lower" in won
    )


def test_who_is_well_is_not(tmp_path):
    assert warnings(tmp_path, 0.6, 0.9) == []
    assert warnings(tmp_path, 0.5, 1.0, rows=19) == []  # too early to tell
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 10, "seg/output/S-All": 1.0}) + "\n")
    assert health.warnings(log.read(tmp_path / "metrics.jsonl")) == []  # no adversary


def test_waiting_for_images_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for row in range(1, 41):  # the first steps wait for the pipeline to fill, in every training
        log.append(path, 10 * row, {"waiting_for_data": 0.9 if row < 10 else 0.31})
    (said,) = health.warnings(log.read(path))
    assert said.startswith("input-bound: 31 % of the time")
    log.append(path, 410, {"seg/output/S-All": 1.0})  # a line of something else
    assert len(health.warnings(log.read(path))) == 1
    path.write_text("".join(json.dumps({"step": 10 * n, "waiting_for_data": 0.05}) + "\n" for n in range(1, 41)))
    assert health.warnings(log.read(path)) == []


def test_classes_that_a_teacher_gave_up_are_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for row in range(1, 41):
        given = {"road": 0.6, "train": 0.02 if row < 20 else 0.0, "rider": 0.0003}
        log.append(path, 10 * row, {f"pseudo_label_share/{name}": share for name, share in given.items()})
    (said,) = health.warnings(log.read(path))
    assert said.startswith("the teacher labels no pixel of the target as train since step 330, which the sources show")
    assert health.collapsed(log.read(path)[:19]) == []  # too early to tell
