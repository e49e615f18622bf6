"""msda-tf inspect: the files it writes, and one clear line for each mistake."""

import pytest
import raw_sets
from PIL import Image

from msda_tf.cli import main as cli
from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.readers import gta5


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs `msda-tf inspect ...` beside a prepared data/gta5; returns exit code, stdout, and stderr's last line."""
    raw_sets.gta5(tmp_path / "raw", 3)
    convert.prepare(gta5.find(tmp_path / "raw", test_frames=1), output=tmp_path / "data", name="gta5")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["inspect", *arguments])
            raise SystemExit(0)
        printed = capsys.readouterr()
        return caught.value.code, printed.out, (printed.err.strip().splitlines() or [""])[-1]

    return call


def test_page_and_picture(run, tmp_path):
    code, out, error = run("data/gta5")
    assert code == 0, error
    assert "129x65 pixels, 19 classes" in out
    with Image.open(tmp_path / "data/gta5/inspect.png") as picture:
        assert picture.width >= 1000
    assert "</html>" in (tmp_path / "data/gta5/inspect.html").read_text()
    assert run("data/gta5", "--output", "look/here", "--split", "test", "--images", "1")[0] == 0
    assert sorted(path.name for path in (tmp_path / "look/here").iterdir()) == ["inspect.html", "inspect.png"]
    # The pictures lie in the data set's folder, and do not unsettle it.
    again = convert.prepare(gta5.find(tmp_path / "raw", test_frames=1), output=tmp_path / "data", name="gta5")
    assert again.reused == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["data"], 2, "data holds several data sets: name one of them, as data/gta5"),
        (["nowhere"], 1, "nowhere/dataset.json does not exist"),
        (["data/gta5", "--split", "val"], 2, "has no split 'val': there are train, test"),
        ([], 2, "FOLDER"),
    ],
)
def test_misuse(run, arguments, code, said):
    found, _, error = run(*arguments)
    assert (found, said in error) == (code, True), error
