"""Runners and their options: what cannot be is refused before any work, in one line."""

import shutil
import subprocess
import sys

import pytest
import raw_sets
from command import run

from msda_tf.beam import runner as runners
from msda_tf.beam.runner import Runner
from msda_tf.errors import UsageError


def test_a_runner_that_is_none_or_cannot_work_here():
    with pytest.raises(UsageError, match="--runner FlinkRuner is not one of DirectRunner, .*did you mean FlinkRunner"):
        runners.choose("FlinkRuner")
    with pytest.raises(UsageError, match="Dataflow's workers share no folder"):
        runners.choose(runners.DATAFLOW)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.setattr(runners.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs Apache Beam, which is not installed: pip install 'msda-tf\[beam\]'"):
        runners.choose("DirectRunner")


def test_dataflow_takes_the_options_of_all_runners(monkeypatch):
    pytest.importorskip("apache_beam", reason="needs the extra beam")
    monkeypatch.setattr(runners.importlib.util, "find_spec", lambda name: name)
    found = runners.choose(runners.DATAFLOW, ("beam_plugins=shelf", "region=europe-west4"), elsewhere=True)
    assert found.flags == ("--beam_plugins=shelf", "--region=europe-west4")


def test_options_become_flags():
    pytest.importorskip("apache_beam", reason="needs the extra beam")
    settings = ("direct_num_workers=4", "direct_running_mode=multi_processing")
    assert runners.choose("DirectRunner", settings) == Runner(
        "DirectRunner", ("--direct_num_workers=4", "--direct_running_mode=multi_processing")
    )
    switches = ("flink_submit_uber_jar=true", "auto_unique_labels=false", "environment_config={}")
    assert runners.choose("FlinkRunner", switches).flags == ("--flink_submit_uber_jar", "--environment_config={}")


@pytest.mark.parametrize(
    ("name", "setting", "said"),
    [
        ("DirectRunner", "direct_num_workers", "expected KEY=VALUE"),
        ("DirectRunner", "=4", "expected KEY=VALUE"),
        ("DirectRunner", "direct_num_worker=4", "no option of that name: did you mean direct_num_workers?"),
        ("DirectRunner", "xyzzy=4", "no option of that name: Beam's documentation"),
        ("DirectRunner", "direct_num_workers=four", "expected a number"),
        ("DirectRunner", "direct_running_mode=fast", "expected one of in_memory, multi_threading, multi_processing"),
        ("DirectRunner", "flink_master=a:1", "an option of FlinkRunner and PortableRunner: leave it out"),
        ("FlinkRunner", "spark_version=3", "an option of SparkRunner and PortableRunner"),
        ("FlinkRunner", "direct_num_workers=4", "an option of DirectRunner"),
        ("FlinkRunner", "region=europe", "an option of DataflowRunner: leave it out"),
        ("FlinkRunner", "prism_location=x", "an option of runners that msda-tf does not use"),
        ("FlinkRunner", "flink_submit_uber_jar=perhaps", "expected true or false"),
        ("FlinkRunner", "flink_job_server_jar=/nowhere.jar", "there is no such file"),
        ("DirectRunner", "runner=FlinkRunner", "name the runner with --runner"),
    ],
)
def test_options_that_cannot_be(name, setting, said):
    pytest.importorskip("apache_beam", reason="needs the extra beam")
    with pytest.raises(UsageError, match=f"--beam-option {setting.split('=')[0]}.*") as caught:
        runners.choose(name, (setting,))
    assert said in str(caught.value)


def test_a_job_server_needs_java(monkeypatch):
    pytest.importorskip("apache_beam", reason="needs the extra beam")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="--runner SparkRunner starts Beam's job server, which needs Java"):
        runners.choose("SparkRunner")
    assert runners.choose("FlinkRunner", ("job_endpoint=flink:8099",)).flags == ("--job_endpoint=flink:8099",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runner", "Nothing"], "--runner Nothing is not one of"),
        (["--beam-option", "direct_num_workers=2"], "has no meaning without --runner"),
    ],
)
def test_the_command_ends_in_one_line(capsys, tmp_path, arguments, said):
    code, _, error = run(capsys, "prepare", "--dataset", "gta5", "--raw", tmp_path, *arguments)
    assert code == 2 and said in error and len(error.strip().splitlines()) == 1


def test_miniature_is_drawn_here(capsys):
    code, _, error = run(capsys, "prepare", "--dataset", "miniature", "--runner", "DirectRunner")
    assert code == 2 and "--runner has no meaning for --dataset miniature" in error


def test_without_a_runner_beam_is_not_loaded(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 1)
    prepares = """
import sys
from msda_tf.cli.main import main
main(["prepare", "--dataset", "gta5", "--raw", "raw", "--output", "data"])
sys.exit("apache_beam" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", prepares], cwd=tmp_path, capture_output=True).returncode == 0
    assert (tmp_path / "data/gta5/dataset.json").exists()
