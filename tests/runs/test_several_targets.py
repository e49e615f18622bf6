"""Several targets at once: each is pooled, centred and scored for itself, from training to export."""

import json
import shutil

import command
import numpy as np
import prepared
import pytest
import tensorflow as tf
import yaml

import msda_tf
from msda_tf import config as configuration
from msda_tf import evaluate, export, predict, runs, train
from msda_tf.config.branches import plan
from msda_tf.data import manifest as manifests
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.order import PooledSchedule
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import metrics
from msda_tf.methods.batches import Batches
from msda_tf.prediction import record
from msda_tf.runs import trained
from msda_tf.training import log

TARGETS = ("night", "fog")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A source, and two targets that differ in size, mean and number of images."""
    folder = tmp_path_factory.mktemp("data")
    prepared.write(folder, "gta5")
    prepared.write(folder, "night", size=(49, 97), shift=-60, seed=2, train=2, test=1)
    prepared.write(folder, "fog", shift=40, seed=3, train=4, test=2)
    return folder


def settings(data, **others):
    """A configuration for both targets."""
    values = {"target": ",".join(TARGETS), "sources": "gta5", "data": str(data), "steps": 4, "aspp_rates": [2, 4]}
    values |= {"batch_size": 1, "accumulate": 1, "evaluate_every": 2, "checkpoint_every": 2, **others}
    return configuration.resolve(preset="tiny", settings=values)[0]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run on both targets, trained and not evaluated by the command."""
    return train.train(settings(data, select="best"), tmp_path_factory.mktemp("runs") / "both")


def test_a_teacher_labels_every_target(data, tmp_path):
    """Targets of two sizes and means take turns; each is labelled, learned from and scored for itself."""
    given = settings(data, method="self-training", layout="s-all", pseudo_threshold=0.1, held_out=0, merge="max-logit")
    found = train.train(given, tmp_path / "run")
    rows = log.read(found.folder(found.networks[0]).log)
    last = {name: value for row in rows for name, value in row.values.items()}
    assert {"miou/night/S-All", "miou/fog/S-All"} <= last.keys() and last["mix/output/S-All"] > 0
    assert 0 < last["pseudo_label/sure"] <= 1
    # Of classes that the source does not show nothing is said.
    assert 0.5 < sum(value for name, value in last.items() if name.startswith("pseudo_label_share/")) < 1.000001


def batches(config, first=0):
    """Of the run's network, from a step on."""
    found = train.load_manifests(config)
    strategy = tf.distribute.get_strategy()
    corrupt = CorruptRecords(limit=0)
    return Batches(
        config=config, network=plan(config)[0], manifests=found, strategy=strategy, corrupt=corrupt
    ).starting_at(first)


def seen(config, count, first=0):
    """(target by its height, name of its image, its mean) of some steps."""
    heights = {65: "fog", 49: "night"}
    found = []
    for _, batch in zip(range(count), batches(config, first), strict=False):
        image, mean = batch["target"]["image"], batch["target"]["mean"]
        found.append((heights[image.shape[1]], batch["names"][-1].numpy()[0], tuple(mean.numpy())))
    return found


def test_images_are_pooled_each_with_its_own_mean_and_size(data):
    config = settings(data)
    found = seen(config, 9)
    assert found == seen(config, 9)
    # The pool holds 3 images of night and 6 of fog: one round shows each once.
    assert sorted(name for name, *_ in found) == ["fog"] * 6 + ["night"] * 3
    assert len({(name, image) for name, image, _ in found}) == 9
    for name, _, mean in found:
        np.testing.assert_allclose(mean, manifests.find(data, name).mean_rgb, rtol=1e-6)
    assert seen(config, 4, first=5) == found[5:]
    even = seen(settings(data, target_sampling="balanced"), 8)
    assert [name for name, *_ in even].count("night") == 4


def test_images_that_are_left_out_count_for_nothing_in_the_pool(data):
    found = seen(settings(data, exclude_test=True), 6)
    assert sorted(name for name, *_ in found) == ["fog"] * 4 + ["night"] * 2
    assert all(image.startswith(b"train/") for _, image, _ in found)


def test_sources_and_targets_are_drawn_independently():
    pools = [PooledSchedule([1, 1], batch_size=1, sampling="balanced", seed=0, stream=s) for s in ("pooled", "targets")]
    pairs = {tuple(pool.data_set(step) for pool in pools) for step in range(40)}
    assert len(pairs) == 4


def weights(directory):
    """Every tensor of the last checkpoint of a run's network."""
    reader = tf.train.load_checkpoint(str(directory / "networks/s-all/checkpoints/step-00000004/weights"))
    return {
        name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "CHECKPOINTABLE" not in name
    }


def test_a_run_that_goes_on_from_its_middle_ends_with_the_same_weights(run, tmp_path):
    folder = tmp_path / "both"
    shutil.copytree(run.directory, folder)
    shutil.rmtree(folder / "networks/s-all/checkpoints/step-00000004")
    train.train(run.config, folder)
    expected, actual = weights(run.directory), weights(folder)
    assert expected.keys() == actual.keys()
    assert not [name for name in expected if not (expected[name] == actual[name]).all()]


def test_scores_are_those_of_each_target_alone_and_their_mean(run, capsys):
    whole = evaluate.evaluate([run.directory])
    kept = metrics.read_all(run.paths.metrics)
    assert [each.target for each in whole.scored] == [each.target for each in kept] == [*TARGETS]
    for name, own in zip(TARGETS, whole.scored, strict=True):
        alone = evaluate.evaluate([run.directory], target=name, output=run.directory.with_suffix(".json"))
        assert alone.metrics.images == own.images
        for branch, matrix in alone.metrics.matrices.items():
            np.testing.assert_array_equal(matrix, own.matrices[branch])
    written = json.loads(run.paths.metrics.read_text())
    scores = [each.scores("S-All") for each in kept]
    assert written["average"]["S-All"] == {
        "miou_19": np.mean([each.miou_all for each in scores]),
        "miou_present": np.mean([each.miou_present for each in scores]),
    }
    assert "confusion" not in json.dumps({key: value for key, value in written.items() if key != "targets"})
    with pytest.raises(MsdaError, match="holds the scores on several targets"):
        metrics.read(run.paths.metrics)
    # While training, too: the whole test splits were scored, and the best is the best on average.
    lines = [row.values for row in log.read(run.folder(run.networks[0]).log) if "miou/S-All" in row.values]
    for values in lines:
        assert values["miou/S-All"] == (values["miou/night/S-All"] + values["miou/fog/S-All"]) / 2
    assert max(values["miou/S-All"] for values in lines) == written["average"]["S-All"]["miou_19"]

    code, output, _ = command.run(capsys, "runs", run.directory, "--json")
    (listed,) = json.loads(output)
    assert code == 0 and listed["miou"] == written["average"]["S-All"]["miou_19"]
    assert listed["scored"].startswith(
        "S-All, average of night (1 images of test at 97x49) and fog (2 images of test at 129x65)"
    )
    code, output, _ = command.run(capsys, "evaluate", "--run", run.directory, "--pictures", 1)
    assert code == 0 and "Mean IoU, average of night, fog" in output and "Mean IoU on fog, test, 2 images" in output
    assert sorted(path.parent.name for path in run.paths.pictures.rglob("*.png")) == ["fog", "night"]
    code, _, error = command.run(capsys, "evaluate", "--run", run.directory, "--target", "rain")
    assert code == 2 and "was adapted to night, fog; name one of these" in error


def test_a_report_shows_every_target_and_the_average(run, tmp_path, capsys):
    assert command.exit_code("report", "--run", run.directory, "--output", tmp_path / "r.html") == 0
    text = (tmp_path / "r.html").read_text()
    for part in ("night, fog, learned from gta5", "average, all", "<h3>fog</h3>", "S-All on night", "On fog: S-All"):
        assert part in text, part
    assert len(metrics.read_all(tmp_path / "r.json")) == 2


def test_the_mean_is_that_of_the_target_asked_for(run, data, tmp_path, capsys):
    image = np.random.default_rng(0).integers(0, 256, (1, 65, 129, 3), np.uint8)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(prepared.png(image[0]))
    networks = trained.load([run.directory])
    with pytest.raises(UsageError, match="--mean-of night"):
        predict.predict([run.directory], tmp_path / "in", tmp_path / "out")
    with pytest.raises(UsageError, match="'rain' is none of the targets"):
        export.export([run.directory], tmp_path / "model", mean_of="rain")
    with pytest.raises(UsageError, match="--mean-of night"):
        msda_tf.load(run.directory)
    for name in TARGETS:
        (member,) = networks.centred_on(name).inference.members
        assert member.mean == manifests.find(data, name).mean_rgb
        expected = member.segmenter(tf.cast(image, tf.float32) - np.float32(member.mean))["output"]["S-All"]
        own = networks.centred(name).inference.members[0].logits(tf.constant(image))["S-All"]
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-5)
        seen = msda_tf.load(run.directory, mean_of=name).segment(image[0]).labels
        np.testing.assert_array_equal(seen, networks.centred_on(name).inference.segment(image)[0])
    version = export.export([run.directory], tmp_path / "model", mean_of="fog")
    told = json.loads((version / "assets.extra/metadata.json").read_text())
    assert (told["target"], told["mean_of"]) == ("night,fog", "fog")
    assert told["inputs_of_networks"][0]["mean_rgb"] == list(manifests.find(data, "fog").mean_rgb)
    arguments = ["predict", "--run", run.directory, "--input", tmp_path / "in", "--output", tmp_path / "out"]
    assert command.exit_code(*arguments, "--mean-of", "night") == 0
    assert record.read(tmp_path / "out" / "labels").made_from["networks"][0]["input"][3] == [
        *manifests.find(data, "night").mean_rgb
    ]
    code, _, error = command.run(capsys, *arguments, "--mean-of", "fog", "--resume")
    assert code == 2 and "the settings of its input are others" in error


def test_one_mean_need_not_be_asked_for(data, tmp_path):
    config = settings(data, mean="imagenet")
    run = runs.create(tmp_path / "run", config, train.load_manifests(config))
    assert len(set(run.means.values())) == 1
    alone = settings(data, target="fog")
    run = runs.create(tmp_path / "alone", alone, train.load_manifests(alone))
    assert "mean_rgb_of_targets" not in run.info and run.mean_rgb == manifests.find(data, "fog").mean_rgb


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("night,night", "target 'night' is named twice in --target night,night"),
        ("night,gta5", "target 'gta5' is also among the sources (gta5): its labels must not be trained on"),
        ("night,gta5:rain", "is also among the sources (gta5), as 'gta5',: its labels"),
        ("night,night:rain", "the images of 'night:rain' are also in 'night'"),
        ("night,,fog", "a name is missing beside a comma"),
        ("night,rain", "data set 'rain' is not prepared in"),
    ],
)
def test_misuse_is_one_line(data, capsys, target, message):
    code, _, error = command.run(capsys, "train", "--data", data, "--sources", "gta5", "--target", target)
    assert code == 2 and message in error and error.count("\n") == 1


def test_settings_of_several_targets(data, tmp_path, capsys):
    code, _, error = command.run(capsys, "train", "--target", "fog", "--set", "target_sampling=balanced")
    assert code == 2 and "target_sampling has no effect here" in error
    file = tmp_path / "c.yaml"
    file.write_text("target: [night, fog]\nsources: [gta5]\n")
    config, _ = configuration.resolve(file=file)
    assert config.target == "night,fog" and config.targets == TARGETS
    config, origins = configuration.resolve(settings={"target": "synthia, cityscapes"})
    assert (config.target, config.sources, origins["sources"]) == ("synthia,cityscapes", ("gta5",), "the other one")
    assert train.default_directory(config).as_posix() == "runs/synthia+cityscapes"
    saved = yaml.safe_dump(configuration.to_dict(config))
    file.write_text(saved)
    assert configuration.resolve(file=file)[0] == config
    code, _, error = command.run(capsys, "experiment", "--grid", "miniature", "--target", "gta5,synthia")
    assert code == 2 and "each row has one target" in error


def test_a_rehearsal_times_no_tracing(data, capsys):
    """Steps of another size are traced anew, which takes seconds."""
    code, output, _ = command.run(
        capsys, "train", "--data", data, "--target", "night,fog", "--sources", "gta5", "--preset", "tiny",
        "--set", "target_sampling=balanced", "--set", "aspp_rates=[2]", "--no-adapt", "--dry-run"
    )  # fmt: skip
    assert code == 0 and "night 97x49, fog 129x65, gta5 129x65" in output
    seconds = float(output.split("then ")[1].split(" s:")[0])
    first = float(output.split("first step ")[1].split(" s")[0])
    assert seconds < first / 2
