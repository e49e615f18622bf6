"""Inspection: figures against the made data, oddities, and the pictures' content."""

import dataclasses
import html.parser

import numpy as np
import pytest
import raw_sets
from PIL import Image

from msda_tf.data import manifest as manifests
from msda_tf.data_prep.conversion import convert, shards
from msda_tf.data_prep.inspection import inspect as inspection
from msda_tf.data_prep.inspection import page as inspection_page
from msda_tf.data_prep.inspection import pictures as inspection_pictures
from msda_tf.data_prep.readers import folder, gta5, synthia
from msda_tf.errors import MsdaError


@pytest.fixture
def games(tmp_path, monkeypatch):
    """A prepared GTA5 of seven frames in four shards; what is in it; and SYNTHIA beside it."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    made = raw_sets.gta5(tmp_path / "raw/gta5", 7)
    raw_sets.synthia(tmp_path / "raw/synthia", 3)
    raw = gta5.find(tmp_path / "raw/gta5", test_frames=3)
    manifest = convert.prepare(raw, output=tmp_path / "data", name="gta5").manifest
    convert.prepare(synthia.find(tmp_path / "raw/synthia"), output=tmp_path / "data", name="synthia")
    return manifest, made


def test_samples_are_spread_over_the_split(games):
    manifest, made = games
    samples = inspection.sample(manifest, "train", 4)
    assert [sample.name[-5:-4] for sample in samples] == ["1", "3", "5", "7"]
    for sample in samples:
        np.testing.assert_array_equal(sample.image, made[sample.name][0])
        np.testing.assert_array_equal(sample.label, made[sample.name][1])
    assert len(inspection.sample(manifest, "train", 100)) == 7
    assert [sample.name for sample in inspection.sample(manifest, "test", 1)] == ["images/00001.png"]


def test_damaged_shards_are_named(games):
    manifest, _ = games
    path = manifest.shard_paths("train")[0]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(MsdaError, match=path.name):
        inspection.sample(manifest, "train", 4)


def test_shares(games):
    manifest, made = games
    labels = np.stack([label for _, label in made.values()])
    shares = inspection.class_shares(manifest.splits["train"])
    np.testing.assert_allclose(shares, [(labels == k).sum() / (labels != 255).sum() for k in range(19)])


def test_neighbours_are_labelled_sets_of_the_same_classes(games, tmp_path):
    manifest, _ = games
    (tmp_path / "raw/mine").mkdir()
    Image.fromarray(raw_sets.image(0)).save(tmp_path / "raw/mine/a.png")
    unlabelled = convert.prepare(folder.find(tmp_path / "raw/mine"), output=tmp_path / "data", name="mine").manifest
    (tmp_path / "data/broken").mkdir()
    (tmp_path / "data/broken/dataset.json").write_text("{")
    assert [other.name for other in inspection.neighbours(manifest)] == ["synthia"]
    assert [other.name for other in inspection.neighbours(unlabelled)] == ["gta5", "synthia"]


def _with_pixels(manifest, **changes):
    pixels = dict(zip(manifest.classes.names, manifest.splits["train"].class_pixels, strict=True))
    pixels |= {name.replace("_", " "): count for name, count in changes.items()}
    split = dataclasses.replace(manifest.splits["train"], class_pixels=tuple(pixels.values()))
    return dataclasses.replace(manifest, splits=manifest.splits | {"train": split})


def test_oddities(games):
    manifest, _ = games
    ignored = [sentence for sentence in inspection.oddities(manifest, []) if "ignored" in sentence]
    assert len(ignored) == 1  # the made labels are mostly ids of no class
    odd = _with_pixels(manifest, train=0, truck=0, bus=1)
    found = inspection.oddities(odd, [manifest])
    assert "No pixel of split train is truck or train." in found
    assert "Fewer than one labelled pixel in 10000 of split train is bus." in found
    assert "gta5 has truck and train, which gta5 does not show." in found
    options = manifest.options | {"sizes": {"9x5": 2, "5x9": 1}, "rejected": 3, "excluded": ["images/15188.png"]}
    told = " ".join(inspection.oddities(dataclasses.replace(manifest, options=options), []))
    for said in ("2 sizes", "3 bad frames", "images/15188.png"):
        assert said in told


def test_contact_sheet_shows_images_and_label_colours(games):
    manifest, made = games
    samples = inspection.sample(manifest, "train", 2)
    sheet = inspection_pictures.contact_sheet(samples, manifest.classes, tile_width=129)
    image, label = made[samples[0].name]
    top, left = 8 + 20, 8
    np.testing.assert_array_equal(sheet[top : top + 65, left : left + 129], image)
    palette = np.zeros((256, 3), np.uint8)
    palette[:19] = manifest.classes.colors
    np.testing.assert_array_equal(sheet[top : top + 65, left + 131 : left + 260], palette[label])
    one = inspection_pictures.contact_sheet(samples[:1], manifest.classes, tile_width=129)
    assert one.shape[1] < sheet.shape[1]


def test_contact_sheet_without_labels(games):
    manifest, _ = games
    samples = [dataclasses.replace(sample, label=None) for sample in inspection.sample(manifest, "train", 5)]
    sheet = inspection_pictures.contact_sheet(samples, manifest.classes, tile_width=129)
    assert sheet.shape == (8 + 2 * (20 + 65 + 8), 8 + 4 * (129 + 8), 3)


def test_histogram_shows_each_data_set(games, tmp_path):
    manifest, _ = games
    others = inspection.neighbours(manifest)
    alone = inspection_pictures.histogram(manifest, [], width=1000)
    both = inspection_pictures.histogram(manifest, others, width=1000)
    assert alone.shape[1] == both.shape[1] == 1000
    assert (both == (0xE0, 0x8E, 0x45)).all(-1).sum() > 1000  # the second data set's bars
    assert not (alone == (0xE0, 0x8E, 0x45)).all(-1).any()
    higher = inspection_pictures.histogram(_with_pixels(manifest, sky=0), [], width=1000)
    bar = (0x1F, 0x3A, 0x5F)
    assert (higher == bar).all(-1).sum() < (alone == bar).all(-1).sum()


class _Balance(html.parser.HTMLParser):
    """Collects text, and fails where a tag is closed that is not open."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_well_formed_and_escapes(games):
    manifest, _ = games
    manifest = dataclasses.replace(manifest, name="<gta5> & more")
    sheet = np.zeros((4, 4, 3), np.uint8)
    text = inspection_page.page(
        manifest, others=[], oddities=["a < b"], histogram=sheet, sheet=sheet, sheet_split="train"
    )
    parser = _Balance()
    parser.feed(text)
    assert parser.open == []
    shown = " ".join(parser.text)
    for said in ("<gta5> & more", "a < b", "traffic light", "129x65 (7)", "mean RGB"):
        assert said in shown
    assert text.count("data:image/png;base64,") == 2
    assert text.count("<main>") == 1  # what a reader of screens jumps to


def test_manifest_records_the_sizes(games):
    manifest, _ = games
    assert manifests.read(manifest.directory).options["sizes"] == {"129x65": 7}
