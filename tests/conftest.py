"""Fixtures that several test modules share, and `--no-skips`."""

import os
import shutil

# As the commands have it, whose processes must give the same sums to the bit (msda_tf/cli/quiet.py).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import prepared
import pytest
import stylize_runs
import tensorflow as tf

from msda_tf import config as configuration
from msda_tf import train
from msda_tf.stylize import train as stylize_train

pytest.register_assert_rewrite("backbone_contract")  # so that its assertions show their values, as tests' do

# As on the smallest machine that runs the tests, whose two cores several processes (pytest -n 2) share.
_THREADS = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2
tf.config.threading.set_intra_op_parallelism_threads(_THREADS)
tf.config.threading.set_inter_op_parallelism_threads(_THREADS)
# For the processes that tests start: sums are the same to the bit only if they are ordered alike.
os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(_THREADS)


def pytest_addoption(parser):
    """`--no-skips`: what `make test-all` gives, which installs every extra."""
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails, unless it cannot run here at all")


def _cannot_run_here(reason: str) -> bool:
    """Whether there is nothing that could be installed beside the rest to run the test."""
    if "needs chromium" in reason:
        return shutil.which("apt-get") is None or os.geteuid() != 0
    return "an environment of its own" in reason or "of this processor" in reason


def _without_skips(report, config):
    if config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr
        if not _cannot_run_here(reason):
            report.outcome, report.longrepr = "failed", f"--no-skips: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test's."""
    return _without_skips((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """A whole file's, skipped for a module that it needs."""
    return _without_skips((yield), collector.config)


@pytest.fixture(scope="session")
def prepared_data(tmp_path_factory):
    """A folder of three small prepared data sets with a gap between them: gta5, synthia and cityscapes."""
    data = tmp_path_factory.mktemp("data")
    for seed, (name, shift) in enumerate({"gta5": 0.0, "synthia": 40.0, "cityscapes": -30.0}.items()):
        prepared.write(data, name, shift=shift, seed=seed)
    return data


@pytest.fixture(scope="session")
def trained_run(prepared_data, tmp_path_factory):
    """A run of the tiny network, layout separate, two sources, ten steps, evaluated (so that it has a best checkpoint).

    Shared: tests must not change its folder, except for what evaluation and reports write.
    """
    settings = {"target": "cityscapes", "data": str(prepared_data), "steps": 10}
    # Two rates instead of four: most of a test is tracing.
    settings |= {"evaluate_every": 10, "evaluate_images": 2, "aspp_rates": [2, 4]}
    # The paper's rule, which needs no table of held-out images: tests of the others make theirs.
    settings["merge"] = "max-logit"
    config, _ = configuration.resolve(preset="tiny", settings=settings)
    return train.train(config, tmp_path_factory.mktemp("runs") / "adapted")


@pytest.fixture(scope="session")
def stylize_run(prepared_data, tmp_path_factory):
    """A stylize run of tiny networks from gta5 to cityscapes, two steps. Shared: tests must not change its folder."""
    config = stylize_runs.config(prepared_data, steps=2)
    return stylize_train.train(config, tmp_path_factory.mktemp("stylize") / "run")[0]


@pytest.fixture
def shallow(monkeypatch):
    """Makes the backbone "tiny" a network whose tracing does not take long."""
    from msda_tf.models.backbones import atrous_resnet as backbone

    depth = backbone.Depth(blocks=(1, 1, 1, 1), planes=(2, 3, 4, 5), stem=4, expansion=2, pool=False)
    monkeypatch.setitem(backbone.DEPTHS, "tiny", depth)
