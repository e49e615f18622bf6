"""Loading the networks of runs: names, weights, and runs that do not fit together."""

import json

import fresh_runs
import pytest
import tensorflow as tf

from msda_tf.config.branches import plan
from msda_tf.config.inputs import IMAGENET_MEAN_RGB
from msda_tf.errors import MsdaError, UsageError
from msda_tf.runs import trained


@pytest.fixture(scope="module")
def joint(prepared_data, tmp_path_factory):
    return fresh_runs.write(tmp_path_factory.mktemp("runs") / "joint", prepared_data, layout="joint")


@pytest.fixture(scope="module")
def plain(prepared_data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "plain"
    return fresh_runs.write(directory, prepared_data, layout="s-all", method="supervised")


def test_every_variable_is_restored(trained_run):
    """Against TensorFlow's own reader of the checkpoint: nothing keeps its random start."""
    networks = trained.load([trained_run.directory])
    for member, network in zip(networks.inference.members, plan(trained_run.config), strict=True):
        folder = trained_run.folder(network).checkpoints / "step-00000010"
        reader = tf.train.load_checkpoint(str(folder / "weights"))
        names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE")]
        stored = {reader.get_tensor(name).tobytes() for name in names}
        variables = member.segmenter.variables
        assert len(variables) > 60
        for variable in variables:
            assert variable.numpy().tobytes() in stored, variable.path


def test_names_in_the_papers_order(trained_run, plain):
    networks = trained.load([trained_run.directory, plain.directory])
    assert networks.inference.branch_names == ["No Adapt", "S1", "S2", "S-All"]
    assert networks.inference.merged == ("S1", "S2", "S-All")
    assert networks.training_sets == {
        "No Adapt": "gta5 + synthia",
        "S1": "gta5",
        "S2": "synthia",
        "S-All": "gta5 + synthia",
    }
    assert networks.target == "cityscapes" and len(networks.classes) == 19


def test_only_merged_leaves_no_adapt_out(trained_run, plain):
    networks = trained.load([trained_run.directory, plain.directory], only_merged=True)
    assert networks.inference.branch_names == ["S1", "S2", "S-All"]
    alone = trained.load([plain.directory], only_merged=True)
    assert alone.inference.merged == ("No Adapt",)


def test_equal_names_get_the_runs_names(trained_run, joint):
    networks = trained.load([trained_run.directory, joint.directory])
    expected = [f"{branch} ({run})" for run in ("adapted", "joint") for branch in ("S1", "S2", "S-All")]
    assert networks.inference.branch_names == list(networks.inference.merged) == expected


def test_equal_names_of_equally_named_runs_get_their_paths(joint, tmp_path, prepared_data):
    twin = fresh_runs.write(tmp_path / "joint", prepared_data, layout="s-all")
    networks = trained.load([joint.directory, twin.directory])
    expected = ["S1", "S2", f"S-All ({joint.directory})", f"S-All ({twin.directory})"]
    assert networks.inference.branch_names == expected


def test_chosen_branches(joint):
    networks = trained.load([joint.directory], branches=["S-All", "S1"])
    assert networks.inference.branch_names == list(networks.inference.merged) == ["S1", "S-All"]
    with pytest.raises(UsageError, match=r"no branch 'S3': there are S1, S2, S-All"):
        trained.load([joint.directory], branches=["S3"])


def test_sources_of_a_run_without_adaptation(tmp_path, prepared_data):
    run = fresh_runs.write(tmp_path / "run", prepared_data, layout="joint", method="supervised")
    networks = trained.load([run.directory])
    assert networks.inference.branch_names == ["No Adapt S1", "No Adapt S2", "No Adapt"]
    # Nothing else is there to merge.
    assert len(networks.inference.merged) == 3


def test_notes_name_unfinished_and_selected_checkpoints(trained_run, prepared_data, tmp_path):
    assert trained.load([trained_run.directory]).notes() == []
    (note,) = trained.load([trained_run.directory], select="best").notes()
    assert "selected on the target's labels" in note and "s-all (step 10)" in note
    unfinished = fresh_runs.write(tmp_path / "run", prepared_data, layout="s-all", steps=500)
    (note,) = trained.load([unfinished.directory]).notes()
    assert "step 10 of 500" in note


def test_merge_rule_comes_from_the_runs(joint, prepared_data, tmp_path):
    assert trained.load([joint.directory]).inference.rule == "max-logit"
    assert trained.load([joint.directory], merge="mean-probability").inference.rule == "mean-probability"
    other = fresh_runs.write(tmp_path / "other", prepared_data, layout="s-all", merge="max-probability")
    assert trained.load([other.directory]).inference.rule == "max-probability"
    with pytest.raises(UsageError, match="differ in merge"):
        trained.load([joint.directory, other.directory])
    assert trained.load([joint.directory, other.directory], merge="max-logit").inference.rule == "max-logit"


def test_networks_run_as_they_were_trained(tmp_path, prepared_data):
    settings = {"scale": 0.5, "target_size": [64, 32], "align_corners": False, "mean": "imagenet", "merge_at": "map"}
    run = fresh_runs.write(tmp_path / "run", prepared_data, layout="s-all", merge_level="feature", **settings)
    inference = trained.load([run.directory]).inference
    (member,) = inference.members
    assert (member.scale, member.size, member.align_corners, member.level) == (0.5, (32, 64), False, "feature")
    assert member.mean == pytest.approx(IMAGENET_MEAN_RGB)
    assert inference.merge_at == "map"


def test_runs_that_do_not_fit(joint, prepared_data, tmp_path):
    def refused(*directories, match, **options):
        with pytest.raises(UsageError, match=match):
            trained.load(directories, **options)

    refused(tmp_path, match="is not a run directory")
    refused(joint.directory, joint.directory / ".." / "joint", match="given twice")
    refused(joint.directory, match="unknown merge rule", merge="median")
    refused(joint.directory, match="no best checkpoint", select="best")
    empty = fresh_runs.write(tmp_path / "empty", prepared_data, weights=False)
    refused(empty.directory, match="empty/networks/sources has no checkpoint")
    other = fresh_runs.write(tmp_path / "other", prepared_data, weights=False, target="synthia")
    refused(joint.directory, other.directory, match="'cityscapes'.*'synthia': only runs for the same target")
    info = json.loads((empty.directory / "run.json").read_text())
    info["classes"].pop()
    (empty.directory / "run.json").write_text(json.dumps(info))
    refused(joint.directory, empty.directory, match="has 19 classes, .*empty 18")


def test_a_damaged_checkpoint_is_refused(tmp_path, prepared_data):
    run = fresh_runs.write(tmp_path / "run", prepared_data, layout="s-all")
    (weights,) = (run.directory / "networks/s-all/checkpoints/step-00000010").glob("weights.data*")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(MsdaError, match="no whole checkpoint.*checksum"):
        trained.load([run.directory])
