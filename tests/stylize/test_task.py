"""Training UNIT: a killed run ends as an uninterrupted one, and batches follow the step alone."""

import dataclasses

import numpy as np
import prepared
import pytest
import stylize_runs
import tensorflow as tf

from msda_tf.data.corrupt import CorruptRecords
from msda_tf.errors import MsdaError, UsageError
from msda_tf.stylize import perceptual, train
from msda_tf.stylize import run as runs
from msda_tf.stylize.images import to_network
from msda_tf.stylize.task import UnitTask, build_unit
from msda_tf.training.checkpoints import Checkpoints
from msda_tf.training.workers import local_strategy


def make_task(config):
    return UnitTask(
        config=config,
        manifests=train.load_manifests(config),
        strategy=local_strategy(),
        corrupt=CorruptRecords(limit=0),
        vgg_weights=None,
    )


def weights(directory, config, step):
    task = make_task(config)
    Checkpoints(directory / "checkpoints").restore(task.checkpointables, step=step)
    states = [v for o in (task.generator_optimizer, task.discriminator_optimizer) for v in o.variables]
    return [v.numpy() for v in [*task.unit.trainable_variables, *states]]


def test_a_killed_run_ends_bit_for_bit_as_an_uninterrupted_one(prepared_data, tmp_path):
    config = stylize_runs.config(prepared_data, steps=5, checkpoint_every=2, halve_every=2)
    train.train(config, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def kill(step, steps, headline):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        train.train(config, tmp_path / "killed", on_progress=kill)
    assert Checkpoints(tmp_path / "killed" / "checkpoints").steps() == [2]
    train.train(config, tmp_path / "killed")
    expected, got = (weights(tmp_path / name, config, 5) for name in ("whole", "killed"))
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_are_crops_that_follow_the_step_alone(prepared_data):
    task = make_task(stylize_runs.config(prepared_data, steps=9, batch_size=2))
    first = [batch for batch, _ in zip(task.batches(0), range(6), strict=False)]
    later = next(task.batches(5))
    for domain in "ab":
        assert later[domain].shape == (2, 64, 64, 3) and later[domain].dtype == tf.uint8
        np.testing.assert_array_equal(first[5][domain], later[domain])
        assert not np.array_equal(first[4][domain], later[domain])
    assert task.image_names(later) == task.image_names(first[5]) and len(task.image_names(later)) == 4


def test_evaluation_shows_each_image_there_and_back(prepared_data):
    task = make_task(stylize_runs.config(prepared_data))
    evaluation = task.evaluate()
    assert set(evaluation.scalars) == {"frechet/apart", "frechet/a", "frechet/b"}
    assert all(np.isfinite(value) and value >= 0 for value in evaluation.scalars.values())
    picture = evaluation.pictures["translations"]
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    again = task.evaluate()
    assert again.scalars == evaluation.scalars  # the same images, and no noise


def test_the_same_start_makes_translating_reconstructing(prepared_data):
    """And otherwise the two autoencoders start apart."""
    picture = next(make_task(stylize_runs.config(prepared_data)).batches(0))["a"]
    for same in (True, False):
        unit = build_unit(stylize_runs.config(prepared_data, same_start=same))
        code = unit.encode("a", to_network(picture))
        np.testing.assert_equal(np.array_equal(unit.encode("b", to_network(picture)), code), same)
        np.testing.assert_equal(np.array_equal(unit.decode("a", code), unit.decode("b", code)), same)


def test_learning_rate_halves(prepared_data):
    task = make_task(stylize_runs.config(prepared_data, learning_rate=0.4, halve_every=10))
    rates = [task.learning_rates(step)["learning_rate"] for step in (0, 9, 10, 19, 20, 35)]
    np.testing.assert_allclose(rates, [0.4, 0.4, 0.2, 0.2, 0.1, 0.05], rtol=1e-6)


def test_without_vgg_weights_it_says_so_and_goes_on(prepared_data, tmp_path, monkeypatch):
    def missing(url, md5, *, otherwise):
        raise MsdaError(f"no ImageNet weights: {otherwise}")

    monkeypatch.setattr(perceptual.keras_cache, "cached", missing)
    config, notes = stylize_runs.config(prepared_data, steps=1, perceptual_features="vgg16"), []
    run, outcome = train.train(config, tmp_path / "run", on_note=notes.append)
    assert notes == [
        "the VGG16 term (perceptual_weight) is off: no ImageNet weights: go on without the term; "
        "perceptual_features=random needs none"
    ]
    assert run.info["perceptual"] is False and "perceptual/a" not in outcome.metrics
    train.train(config, tmp_path / "run", on_note=notes.append)
    assert notes[1] == "the VGG16 term is off, as it was when the run began"


def test_random_features_need_no_weights(prepared_data, tmp_path):
    config, notes = stylize_runs.config(prepared_data, steps=1, perceptual_features="random"), []
    run, outcome = train.train(config, tmp_path / "run", on_note=notes.append)
    train.train(config, tmp_path / "run", on_note=notes.append)
    assert notes == [] and outcome.metrics["perceptual/a"] > 0 and outcome.metrics["perceptual/b"] > 0


def test_a_run_goes_on_with_its_own_settings_and_data_only(prepared_data, stylize_run):
    with pytest.raises(UsageError, match=r"other settings: steps \(was 2, now 3\)"):
        train.train(dataclasses.replace(stylize_run.config, steps=3), stylize_run.directory)


def test_images_smaller_than_the_crop_are_refused(tmp_path):
    for name in ("gta5", "cityscapes"):
        prepared.write(tmp_path, name, size=(40, 80))
    with pytest.raises(UsageError, match="images of 'gta5' are 80x40 pixels, smaller than crops of 64"):
        train.load_manifests(stylize_runs.config(tmp_path))
    assert train.load_manifests(stylize_runs.config(tmp_path, shortest_side=64))


def test_a_damaged_note_of_a_run_is_named(tmp_path):
    (tmp_path / runs.INFO).write_text("{")
    with pytest.raises(MsdaError, match="stylize.json is damaged"):
        runs.read(tmp_path)
