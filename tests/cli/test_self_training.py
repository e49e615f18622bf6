"""Self-training from the command: a run, its teacher and its student, what the report shows, and bad input."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from command import run as typed

from msda_tf import config as configuration
from msda_tf import train
from msda_tf.config import knobs
from msda_tf.config.branches import plan
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.errors import UsageError
from msda_tf.evaluation import cross_source
from msda_tf.methods import class_floor
from msda_tf.methods.task import SegmentationTask
from msda_tf.runs import listing
from msda_tf.training.workers import local_strategy
from msda_tf.weights import own_run


def config(data, **settings):
    given = {
        "target": "cityscapes",
        "data": str(data),
        "method": "self-training",
        "layout": "s-all",
        "aspp_rates": [2, 4],
    }
    given |= {
        "steps": 4,
        "evaluate_every": 4,
        "evaluate_images": 1,
        "held_out": 0,
        "merge": "mean-probability",
        "pseudo_threshold": 0.1,
    }
    return configuration.resolve(preset="tiny", settings=given | settings, refuse_unread=False)[0]


@pytest.fixture(scope="module")
def run(prepared_data, tmp_path_factory):
    """Of four steps, with all that the pipeline can do: crops of scaled images, rare classes, margins."""
    changes = {"crop": [96, 48], "random_scale": [0.8, 1.5], "crop_max_share": 0.75, "source_images": "rare-classes"}
    changes |= {"rare_min_pixels": 100, "pseudo_margins": [0.1, 0.2, 0, 0]}
    return train.train(config(prepared_data, **changes), tmp_path_factory.mktemp("runs") / "self")


def msda_tf(capsys, *arguments) -> str:
    """What a command that must succeed prints."""
    code, output, errors = typed(capsys, *arguments)
    assert code == 0, errors
    return output


def test_teacher_and_student_are_told_apart(run, tmp_path, capsys):
    found = {}
    for serve in ("teacher", "student"):
        output = tmp_path / f"{serve}.json"
        chosen = ["--serve", serve] if serve == "student" else []  # the teacher is the run's own choice
        said = msda_tf(capsys, "evaluate", "--run", run.directory, "--json", output, *chosen)
        assert f"weights of the {serve}" in said
        found[serve] = json.loads(output.read_text())
        (weights,) = found[serve]["made_from"]["networks"]
        assert weights["teacher"] == (serve == "teacher")
    assert found["teacher"]["branches"] != found["student"]["branches"]
    # It was trained on crops.
    assert "trained on crops of 96x48 pixels, but images pass whole: --window 96x48" in said
    said = msda_tf(capsys, "evaluate", "--run", run.directory, "--json", output, "--window", "96x48")
    assert "trained on crops" not in said and "in windows of 96x48 pixels" in said
    msda_tf(capsys, "evaluate", "--run", run.directory)
    assert "the teacher's weights" in listing.summary(run.directory).scored


def test_the_report_shows_what_the_teacher_said(run, tmp_path, capsys):
    msda_tf(capsys, "report", "--run", run.directory, "--output", tmp_path / "page.html", "--gallery", 0)
    text = (tmp_path / "page.html").read_text()
    assert '<section id="self-training">' in text and "at step 4" in text and "weights of the teacher" in text
    network = run.folder(run.networks[0])
    logged = [json.loads(line) for line in network.log.read_text().splitlines()]
    # The prepared scenes have five classes; of others nothing is said.
    names = {name.partition("/")[2] for row in logged for name in row if name.startswith("pseudo_label_share/")}
    assert names == {"road", "sidewalk", "building", "wall", "fence"}
    assert [path.name for path in network.pictures.iterdir()] == ["step-00000004-self-training.png"]


def test_another_run_starts_from_the_teacher(run):
    prefix = own_run.find(run.directory, ("S-All",))
    found = own_run.convert(prefix).candidates
    assert found and all(candidate.key.startswith("teacher/") for candidate in found.values())


def test_networks_share_no_teacher(prepared_data):
    """Layout separate: two networks, each with a teacher of its own branches; nobody labels for the other."""
    both = config(prepared_data, layout="separate")
    manifests = train.load_manifests(both)
    corrupt = CorruptRecords(limit=0)
    tasks = [
        SegmentationTask(config=both, network=network, manifests=manifests, strategy=local_strategy(), corrupt=corrupt)
        for network in plan(both)
    ]
    assert [task.method.teacher.network.branches for task in tasks] == [("S1", "S2"), ("S-All",)]
    assert all(task.method.serves is task.method.teacher.network for task in tasks)


def test_a_run_whose_pseudo_labels_go_by_held_out_images_can_be_used(prepared_data, tmp_path, capsys):
    """Its checkpoints hold the branches' parts and the classes' prices, too, which nothing but training needs."""
    rule = {"pseudo_merge": "class-weighted-probability", "pseudo_merge_every": 2, "held_out": 20, "pseudo_floor": 0.5}
    run = train.train(config(prepared_data, layout="sources", steps=2, evaluate_every=0, **rule), tmp_path / "run")
    assert "Max Merge" in msda_tf(capsys, "evaluate", "--run", run.directory)


def test_held_out_images_weigh_the_branches_that_label_the_target(prepared_data, tmp_path):
    """Every second step, by the teacher's table of that moment; also in training that goes on from a checkpoint.

    So it is with the prices of classes that have less than their floor in the sources' labels.
    """
    rule = {"pseudo_merge": "class-weighted-probability", "pseudo_merge_every": 2, "held_out": 20, "pseudo_floor": 0.5}
    given = config(prepared_data, layout="sources", **rule)
    manifests, (network,) = train.load_manifests(given), plan(given)

    options = {"strategy": local_strategy(), "corrupt": CorruptRecords(limit=0)}
    task = SegmentationTask(config=given, network=network, manifests=manifests, **options)
    objects, seen = tf.train.Checkpoint(**task.checkpointables), []
    task.begin()
    pixels = [manifests[name].splits["train"].class_pixels for name in given.sources]
    floor = task.method.teacher.floor
    np.testing.assert_allclose(floor.floors, 0.5 * class_floor.source_shares(pixels))
    assert (floor.floors.numpy() > 0).sum() == 5
    batches = task.batches(0)
    for number in range(4):
        cells = task.held_out.cells()  # the teacher serves
        task.train_step(next(batches))
        shares = task.method.teacher.shares
        seen.append((shares.temperatures.numpy(), shares.by_class.numpy()))
        if number % 2 == 0:
            found = cross_source.calibrations(cells)
            expected = np.array([found[branch].class_weights for branch in ("S1", "S2")])
            np.testing.assert_allclose(seen[-1][1], expected / expected.sum(axis=0), rtol=1e-5)
            np.testing.assert_allclose(seen[-1][0], [found[branch].temperature for branch in ("S1", "S2")], rtol=1e-5)
        if number == 2:
            saved = objects.write(str(tmp_path / "weights"))
    assert np.array_equal(seen[0][1], seen[1][1]) and not np.array_equal(seen[1][1], seen[2][1])

    ended, prices = [variable.numpy() for variable in task.method.serves.variables], floor.log_prices.numpy()
    assert prices.any()
    floor.log_prices.assign(np.zeros_like(prices))
    task.method.teacher.shares.by_class.assign(np.zeros_like(seen[0][1]))
    objects.read(saved).assert_consumed()
    task.train_step(next(task.batches(3)))
    np.testing.assert_array_equal(task.method.teacher.shares.by_class, seen[2][1])
    np.testing.assert_array_equal(floor.log_prices, prices)
    for again, before in zip(task.method.serves.variables, ended, strict=True):
        np.testing.assert_array_equal(again, before, err_msg=again.path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"pseudo_merge": "weighted-probability"},
            "pseudo_merge=weighted-probability goes by held-out images of the sources: set held_out, such as 20, or "
            "pseudo_merge, such as mean-probability",
        ),
        ({"crop": [130, 48]}, "crop is 130x48, but images of 'cityscapes' reach the network with 129x65 pixels"),
        ({"crop": [20, 20]}, "crops of 20x20 pixels are smaller than the 32"),
        ({"pseudo_margins": [0.5, 0.5, 0, 0]}, "leave nothing of the image"),
        ({"random_scale": [2.0, 1.0]}, "is larger than the second"),
        ({"feature_distance": True, "feature_distance_classes": [19]}, "names class 19, but 'cityscapes' has 19"),
    ],
)
def test_bad_input_is_one_line(prepared_data, settings, message):
    with pytest.raises(UsageError, match="(?s)^[^\n]*$") as error:
        train.load_manifests(config(prepared_data, **settings))
    assert message in str(error.value)


def test_without_crops_images_are_cut_to_what_they_have_in_common(prepared_data):
    from msda_tf.config.inputs import crop_size

    given = config(prepared_data, source_size=[100, 70])
    assert crop_size(given, train.load_manifests(given)) == (65, 100)
    assert crop_size(dataclasses.replace(given, method="supervised"), {}) is None
    assert crop_size(config(prepared_data), train.load_manifests(config(prepared_data))) is None


@pytest.mark.parametrize("preset", ["dacs", "daformer", "mic", "self-training-small"])
def test_presets_are_whole(preset):
    found, origins = configuration.resolve(preset=preset, settings={"target": "cityscapes"})
    configuration.validate(found)
    assert found.method == "self-training" and origins["method"] == f"preset {preset}"
    assert not set(knobs.unread(found)) & {k for k, o in origins.items() if o == f"preset {preset}"}
