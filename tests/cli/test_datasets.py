"""msda-tf datasets: the list, descriptions that can be copied, and one clear line for each mistake."""

import pathlib

import pytest
from command import run

from msda_tf.data_prep import catalog
from msda_tf.data_prep.readers import READERS, description

DOCUMENTATION = pathlib.Path(__file__).parents[2] / "docs" / "datasets.md"


def test_the_list_says_what_how_many_how_large_under_which_licence_and_where_from(capsys):
    code, out, _ = run(capsys, "datasets")
    assert code == 0
    for name in catalog.names():
        about = catalog.entry(name).about
        block = out.split(f"\n{name}\n")[-1] if name != "gta5" else out
        for said in (about.what, about.images, about.size, about.licence, catalog.entry(name).download):
            assert said in block.split("\n  ", 9)[0] or said in block


def test_a_description_can_be_copied(capsys, tmp_path):
    for name in set(catalog.names()) - set(READERS):
        code, out, _ = run(capsys, "datasets", name)
        assert code == 0
        (tmp_path / "mine.yaml").write_text(out)
        assert description.read(tmp_path / "mine.yaml").name == name


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["acdcc"], 2, "no data set 'acdcc'; there are a2d2, acdc"),
        (["get"], 2, "get takes one data set: msda-tf datasets get NAME"),
        (["get", "nothing"], 2, "no data set 'nothing'"),
        (["acdc", "idd"], 2, "one data set at a time: 'idd' is too much"),
        (["get", "acdc"], 1, "take rgb_anon_trainvaltest.zip and gt_trainval.zip from https://acdc.vision.ee.ethz.ch"),
        (["get", "acdc", "--output", "my raw"], 1, "msda-tf prepare --dataset acdc --raw 'my raw'"),
    ],
)
def test_misuse(capsys, monkeypatch, tmp_path, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    found, _, error = run(capsys, "datasets", *arguments)
    assert (found, said in error) == (code, True), error
    assert error.count("\n") == 1


def test_the_documentation_lists_them_all():
    text = DOCUMENTATION.read_text()
    for name in catalog.names():
        entry = catalog.entry(name)
        row = next((line for line in text.splitlines() if line.startswith(f"| `{name}` |")), "")
        for said in (entry.about.what, entry.about.images, entry.about.size, entry.classes, entry.about.licence):
            assert said in row, (name, said)
