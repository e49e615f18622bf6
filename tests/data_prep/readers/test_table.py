"""The table of readers: what a data set with code of its own costs, and that nothing heavy is imported for it."""

import subprocess
import sys

import pytest
import raw_sets

from msda_tf.cli import main as cli
from msda_tf.cli import prepare
from msda_tf.data import manifest as manifests
from msda_tf.data_prep import readers

READER = """
from msda_tf.data_prep.readers import gta5

def find(raw, *, test_frames=1):
    return gta5.find(raw, test_frames=test_frames)
"""


def test_a_throw_away_reader_costs_one_file_and_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "throw_away_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(readers.READERS, "toys", readers.Reader("throw_away_reader", "toys", options=("test_frames",)))
    raw_sets.gta5(tmp_path / "raw", 3)
    arguments = ["prepare", "--dataset", "toys", "--raw", str(tmp_path / "raw"), "--output", str(tmp_path / "data")]
    cli.main([*arguments, "--test-frames", "2"])
    assert manifests.find(tmp_path / "data", "toys").splits["test"].examples == 2
    with pytest.raises(SystemExit):
        cli.main([*arguments, "--lane-marking", "road"])
    assert "--lane-marking has no meaning for --dataset toys" in capsys.readouterr().err


def test_every_reader_can_be_loaded_and_its_options_are_those_of_the_command():
    known = {parameter.name for parameter in prepare.command.params}
    for reader in readers.READERS.values():
        assert callable(reader.load().find)
        assert set(reader.options) <= known


def test_the_table_is_light():
    script = (
        "import sys, msda_tf.data_prep.readers\n"
        "sys.exit(bool({'numpy', 'cv2', 'PIL', 'yaml', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
