"""What a grid consists of, and when a run counts as finished."""

import pathlib
import shutil

import finished_jobs
import prepared
import pytest

from msda_tf.config import branches
from msda_tf.errors import UsageError
from msda_tf.experiment import jobs

HERE = pathlib.Path("out"), pathlib.Path("nowhere")


def plan(grid, **options):
    return jobs.plan(grid, output=HERE[0], data=HERE[1], **options)


def test_the_papers_grid_is_twelve_runs_and_trains_no_network_twice():
    found = plan("paper")
    assert len(found) == 12 and len({job.directory for job in found}) == 12
    rows = {(job.target, job.scale) for job in found}
    assert rows == {(target, scale) for target in ("cityscapes", "synthia", "gta5") for scale in (1.0, 0.5)}
    for row in rows:
        own = [job for job in found if (job.target, job.scale) == row]
        # S1 and S2 share a network: three networks make all five columns.
        assert sum(len(branches.plan(job.config)) for job in own) == 3
        columns = [column for job in own for column in job.columns.values()]
        assert sorted(columns) == sorted(["S1", "S2", "S-All", "Max Merge", "No Adapt"])
        for job in own:
            assert (job.config.scale, job.config.backbone, job.config.steps) == (row[1], "resnet101", 50000)
            assert set(job.config.sources) == {"cityscapes", "synthia", "gta5"} - {row[0]}
    assert [job.config.method for job in found[:2]] == ["adversarial", "supervised"]


def test_subsets_seeds_and_settings():
    found = plan("paper", targets=["synthia"], scales=[0.5], seeds=3, settings={"steps": "7", "jit": "true"})
    assert [(job.seed, job.kind) for job in found] == [(s, k) for s in range(3) for k in ("adapted", "no-adapt")]
    assert all((job.config.seed, job.config.steps, job.config.jit) == (job.seed, 7, True) for job in found)
    assert str(found[3].directory) == "out/synthia-0.5/seed1/no-adapt"


def test_miniature_has_an_oracle_that_never_sees_the_sources():
    found = plan("miniature", targets=["gta5"])
    assert [job.kind for job in found] == ["adapted", "no-adapt", "oracle"]
    oracle = found[-1].config
    assert (oracle.target, oracle.sources, oracle.method, oracle.layout) == (
        "gta5",
        ("gta5_labelled",),
        "supervised",
        "s-all",
    )
    assert oracle.backbone == "tiny" and oracle.data == "out/labelled"


@pytest.mark.parametrize("key", ["target", "sources", "data", "scale", "seed", "layout", "adapt"])
def test_what_the_grid_decides_cannot_be_set(key):
    with pytest.raises(UsageError, match=f"--set {key}=...: a grid decides {key} itself"):
        plan("paper", settings={key: "1"})


def test_wrong_settings_are_refused_before_anything_runs():
    with pytest.raises(UsageError, match="unknown key 'stepz'"):
        plan("paper", settings={"stepz": "1"})


def test_restyled_sources_add_the_unit_columns_of_their_target(tmp_path):
    for name in ("gta5_as_cityscapes", "synthia_as_cityscapes", "gta5_as_synthia"):
        prepared.write(tmp_path, name, train=1, test=1)
    found = jobs.plan("paper", output=HERE[0], data=tmp_path, scales=[1.0])
    unit = [job for job in found if job.kind.startswith("unit")]
    assert {job.target for job in unit} == {"cityscapes"}  # synthia lacks cityscapes_as_synthia
    sources, s_all = unit
    assert sources.config.sources == s_all.config.sources == ("gta5_as_cityscapes", "synthia_as_cityscapes")
    # S1 and S2 alone, as the paper's figure; then all three, without training S1 and S2 again.
    assert [network.branches for network in branches.plan(sources.config)] == [("S1", "S2")]
    assert sources.columns["Max Merge"] == "UNIT S1+S2"
    assert [network.branches for network in branches.plan(s_all.config)] == [("S-All",)]
    assert s_all.scored_with == (sources.directory,) and s_all.columns["Max Merge"] == "UNIT Max Merge"


@pytest.fixture
def own_data(prepared_data, tmp_path):
    """The three data sets, and `dashcam`, which nobody labelled."""
    data = tmp_path / "data"
    shutil.copytree(prepared_data, data, symlinks=True)
    prepared.write(data, "dashcam", labelled=False)
    return data


def own(data, sources, **options):
    return jobs.plan_own(sources, output=HERE[0], data=data, preset="tiny", **options)


def test_a_table_of_ones_own_has_a_column_for_every_source(own_data):
    adapted, no_adapt, oracle = own(own_data, ["gta5", "synthia"], targets=["cityscapes"])
    # Where the preset merges by another rule than the paper's, that stands beside it.
    assert list(adapted.columns) == ["S1", "S2", "S-All", "Max Merge", "Max Logit"]
    assert [network.name for network in branches.plan(adapted.config)] == ["sources", "s-all"]
    assert (no_adapt.config.method, oracle.config.sources) == ("supervised", ("cityscapes_labelled",))
    assert str(adapted.directory) == "out/cityscapes-1/seed0/adapted" and not adapted.estimated
    # The grids are the paper's, who held nothing out; here the preset's share is.
    assert adapted.config.held_out > 0

    three = ["gta5", "synthia", "cityscapes"]
    settings = {"layout": "joint", "merge": "max-logit"}
    found = own(own_data, three, targets=["dashcam"], scales=[0.5, 1.0], seeds=2, settings=settings)
    assert [(job.seed, job.scale, job.kind) for job in found] == [
        (seed, scale, kind) for seed in range(2) for scale in (0.5, 1.0) for kind in ("adapted", "no-adapt")
    ]
    assert all(job.estimated and job.scores_path.name == "estimate.json" for job in found)
    assert list(found[0].columns) == ["S1", "S2", "S3", "S-All", "Max Merge"]
    assert list(own(own_data, ["gta5"], targets=["cityscapes"])[0].columns) == ["S-All"]


def test_a_table_of_ones_own_that_would_say_nothing_is_refused(own_data):
    for options, words in (
        ({"settings": {"method": "supervised"}}, "No Adapt has a column: --set method=adversarial"),
        ({"settings": {"held_out": "0", "merge": "max-logit"}}, "--set held_out=40"),
        ({"settings": {"sources": "gta5"}}, "a table decides sources itself"),
        ({"targets": ["gta5"]}, "also among the sources"),
        ({"targets": ["mars"]}, "'mars' is not prepared"),
    ):
        with pytest.raises(UsageError, match=words):
            own(own_data, ["gta5", "synthia"], **{"targets": ["dashcam"], **options})


@pytest.fixture
def job(prepared_data, tmp_path):
    options = {"targets": ["cityscapes"], "scales": [1.0], "settings": {"steps": 10}}
    return jobs.plan("paper", output=tmp_path, data=prepared_data, **options)[0]


def test_states_from_nothing_to_finished(job):
    assert str(jobs.state(job)) == "to do"
    finished_jobs.train(job, step=4)
    assert str(jobs.state(job)) == "step 8 of 20"
    finished_jobs.train(job)
    assert str(jobs.state(job)) == "trained, to be scored"
    finished_jobs.score(job)
    assert str(jobs.state(job)) == "finished" and jobs.state(job).finished


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"step": 9}, "another step"),
        ({"best": True}, "other weights"),
        ({"checkpoint": "0" * 64}, "other weights"),
        ({"data": "0" * 64}, "another data set"),
        ({"images": 2}, "other images"),
        ({"window": [64, 64]}, "images in other windows"),
        ({"merge": "mean-probability"}, "another merge"),
        ({"runs": ("adapted", "other")}, "other runs"),
        ({"branches": {"S1": 0.5, "S2": 0.5, "S-All": 0.5}}, "another merge"),
    ],
)
def test_scores_of_something_else_do_not_count(job, wrong, words):
    finished_jobs.train(job)
    finished_jobs.score(job, **wrong)
    assert str(jobs.state(job)) == f"trained, to be scored again: its scores are of {words}"
    job.scores_path.write_text("{")
    assert str(jobs.state(job)) == "trained, to be scored"
