"""msda-tf inspect: the files it writes, and one clear line for each mistake."""

import pytest
import raw_sets
from PIL import Image

from msda_tf.cli import main as cli
from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.labels import class_map
from msda_tf.data_prep.readers import gta5, synthia
from msda_tf.evaluation import palettes
from msda_tf.labels import CITYSCAPES_CLASSES


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


def test_colours_of_a_palette(run, tmp_path):
    assert run("data/gta5", "--output", "own")[0] == 0
    assert run("data/gta5", "--output", "blind", "--palette", "colour-blind")[0] == 0
    own, blind = ((tmp_path / each / "inspect.html").read_text() for each in ("own", "blind"))
    colors = {name: palettes.recoloured(CITYSCAPES_CLASSES, name).colors[0] for name in palettes.PALETTES}
    for page, here, other in ((own, "own", "colour-blind"), (blind, "colour-blind", "own")):
        assert f"rgb{colors[here]}" in page and f"rgb{colors[other]}" not in page
    assert (tmp_path / "own/inspect.png").read_bytes() != (tmp_path / "blind/inspect.png").read_bytes()


def test_several_meet_on_a_common_map(run, tmp_path):
    """What inspect writes, prepare takes: afterwards both have the same classes."""
    raw_sets.synthia(tmp_path / "raw2", 2)
    convert.prepare(synthia.find(tmp_path / "raw2", test_frames=1), output=tmp_path / "data", name="synthia")
    (tmp_path / "few.yaml").write_text(
        "classes: [{name: road, color: [1, 1, 1]}, {name: sky, color: [2, 2, 2]}, {name: bus, color: [3, 3, 3]}]\n"
        "map: {road: [road], sky: [sky]}\nignore: rest\n"
    )
    raw = class_map.apply(gta5.find(tmp_path / "raw", test_frames=1), tmp_path / "few.yaml")
    convert.prepare(raw, output=tmp_path / "data", name="few")
    code, out, error = run("data/synthia", "data/few", "--target", "data/few", "--common", "common.yaml")
    assert code == 0, error
    assert "Their lists of classes differ: 3 (few) and 19 (synthia) classes" in out
    assert "wrote common.yaml: 2 classes. Next: prepare each again with --class-map common.yaml" in out
    both = [gta5.find(tmp_path / "raw"), synthia.find(tmp_path / "raw2")]
    assert {class_map.apply(each, tmp_path / "common.yaml").classes.names for each in both} == {("road", "sky")}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["data/gta5", "data/gta5", "--split", "test"], 2, "--split has no meaning for several data sets"),
        (["data/gta5", "data/gta5", "--palette", "own"], 2, "--palette has no meaning for several data sets"),
        (["data/gta5", "--common", "c.yaml"], 2, "--common has no meaning for one data set"),
        (["data/gta5", "nowhere"], 1, "nowhere/dataset.json does not exist"),
        (["data"], 2, "data holds several data sets: name one of them, as data/gta5"),
        (["nowhere"], 1, "nowhere/dataset.json does not exist"),
        (["data/gta5", "--split", "val"], 2, "has no split 'val': there are train, test"),
        ([], 2, "FOLDER"),
    ],
)
def test_misuse(run, arguments, code, said):
    found, _, error = run(*arguments)
    assert (found, said in error) == (code, True), error
