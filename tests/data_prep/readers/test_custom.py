"""Custom data sets: the YAML file, its mistakes by line, the encodings, and the files in the documentation."""

import pathlib
import re

import cv2
import numpy as np
import pytest
import raw_sets
from PIL import Image

from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.labels import class_map
from msda_tf.data_prep.labels.color_labels import ColorLabels
from msda_tf.data_prep.readers import custom, description, folder, gta5
from msda_tf.errors import MsdaError, UsageError
from msda_tf.image_files.headers import BadFrame

DOCUMENTATION = pathlib.Path(__file__).parents[3] / "docs" / "custom-data.md"

PLAIN = """\
name: toys
splits:
  train:
    images: pictures/*/*.png
    labels: answers/*/*_ids.png
  test: {images: more/*.png}
labels: ids
classes:
  - {name: duck, color: [255, 255, 0]}
  - {name: bath tub, color: [200, 200, 255]}
map:
  duck: [3, 1000]
  bath tub: [4]
ignore: [0]
"""


def _save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if array.dtype == np.uint16:
        cv2.imwrite(str(path), array)
    else:
        Image.fromarray(array).save(path)


def _describe(tmp_path, text):
    (tmp_path / "toys.yaml").write_text(text)
    return description.read(tmp_path / "toys.yaml")


@pytest.fixture
def toys(tmp_path):
    """Two labelled pictures (8 and 16 bits) and one unlabelled one; returns their ids by name."""
    ids = {"a/1": raw_sets.ids(1, (0, 3, 4)), "b/1": raw_sets.ids(2, (0, 3, 4)).astype(np.uint16)}
    ids["b/1"][ids["b/1"] == 3] = 1000
    for name, values in ids.items():
        _save(tmp_path / f"raw/pictures/{name}.png", raw_sets.image(1))
        _save(tmp_path / f"raw/answers/{name}_ids.png", values)
    _save(tmp_path / "raw/more/9.png", raw_sets.image(2))
    return ids


def test_ids(tmp_path, toys):
    raw = custom.find(tmp_path / "raw", _describe(tmp_path, PLAIN))
    assert raw.classes.names == ("duck", "bath tub")
    assert raw.splits == {"train": ("train",), "test": ("test",)}
    assert (raw.training_split, raw.evaluation_split) == ("train", "train")
    for frame in raw.parts[0].frames:
        values = toys[re.fullmatch("pictures/(.*).png", frame.name)[1]]
        expected = raw_sets.mapped(values, {0: 255, 3: 0, 1000: 0, 4: 1})
        np.testing.assert_array_equal(raw.labels.decode(frame.label.read_bytes()), expected)
    manifest = convert.prepare(raw, output=tmp_path, name="toys").manifest
    assert (manifest.kind, manifest.classes) == ("custom", raw.classes)
    assert manifest.splits["train"].class_pixels == tuple(
        sum(int(np.isin(values, wanted).sum()) for values in toys.values()) for wanted in ((3, 1000), (4,))
    )
    assert not manifest.splits["test"].labelled


def test_without_a_map_ids_are_positions(tmp_path, toys):
    text = PLAIN.split("map:")[0].replace("pictures/*/", "pictures/a/").replace("answers/*/", "answers/a/")
    raw = custom.find(tmp_path / "raw", _describe(tmp_path, text.replace("ids\n", "ids\nignore: rest\n")))
    expected = raw_sets.mapped(toys["a/1"], {0: 0, 3: 255, 4: 255})
    np.testing.assert_array_equal(raw.labels.decode(raw.frames[0].label.read_bytes()), expected)


def test_partners(tmp_path, toys):
    (tmp_path / "raw/answers/a/1_ids.png").rename(tmp_path / "raw/answers/a/2_ids.png")
    raw = custom.find(tmp_path / "raw", _describe(tmp_path, PLAIN))
    assert [(bad.frame, bad.reason) for bad in raw.rejected] == [
        ("pictures/a/1.png", "image without label"),
        ("answers/a/2_ids.png", "label without image"),
    ]


def test_other_classes_or_colours_need_force(tmp_path, toys):
    convert.prepare(custom.find(tmp_path / "raw", _describe(tmp_path, PLAIN)), output=tmp_path, name="toys")
    for change in (("255, 255, 0", "255, 250, 0"), ("ignore: [0]", "ignore: rest"), ("[3, 1000]", "[1000]")):
        raw = custom.find(tmp_path / "raw", _describe(tmp_path, PLAIN.replace(*change)))
        with pytest.raises(UsageError, match="was prepared with other class_rules .*--force") as caught:
            convert.prepare(raw, output=tmp_path, name="toys")
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("name: toys", "name: [toys]"), 1, "name: text is expected, not a list"),
        (("name: toys", "name: 7"), 1, "name: text is expected, not 7: put it in quotes"),
        (("name: toys", "name: a/b"), 1, "'a/b' is no folder name"),
        (("name: toys", "nom: toys"), 1, "nom: there is no such key; known here are name, classes, splits"),
        (("name: toys\n", ""), 1, "the key name is missing"),
        (("pictures/*/*.png", "/pictures/*/*.png"), 4, "splits.train.images: .* paths are relative to --raw"),
        (("pictures/*/*.png", "../pictures/*/*.png"), 4, "leads out of the raw folder"),
        (("pictures/*/*.png", "pictures/*/*.tif"), 4, "names no PNG or JPEG files"),
        (("answers/*/*_ids", "answers/*_ids"), 5, "has 1 wildcards, but pictures/.* has 2"),
        (("answers/*/*_ids.png", "[a/*/*.png, b/*/*.png]"), 5, "2 patterns for 1 patterns of images"),
        (("images: more/*.png", "pictures: more/*.png"), 6, "splits.test.pictures: there is no such key"),
        (("images: more/*.png", ""), 6, "the key images is missing"),
        (("test:", "te-st:"), 6, "a split's name consists of letters"),
        (("labels: ids", "labels: colours"), 7, "labels are one of ids, palette, rgb, red, polygons, panoptic, not"),
        (("labels: ids", "training_split: val"), 7, "there is no split 'val'; there are train, test"),
        (("labels: ids", "evaluation_split: test"), 7, "split 'test' has no labels to evaluate on"),
        (("{name: duck, color: [255, 255, 0]}", "{name: duck}"), 9, "the key color is missing"),
        (("255, 255, 0", "255, 256, 0"), 9, "a whole number of 0 to 255 is expected, not 256"),
        (("[255, 255, 0]", "[255, 255]"), 9, r"a colour is \[red, green, blue\], not 2 numbers"),
        (("[255, 255, 0]", "yellow"), 9, "a list is expected, not 'yellow'"),
        (("bath tub, color", "duck, color"), 10, "the class 'duck' is there twice"),
        (("duck: [3", "goose: [3"), 12, "there is no class 'goose'; there are duck, bath tub"),
        (("[3, 1000]", "[3, x]"), 12, r"map.duck\[1\]: a whole number of 0 to 65535 is expected, not 'x'"),
        (("[3, 1000]", "[3, true]"), 12, "a whole number of 0 to 65535 is expected, not True"),
        (("bath tub: [4]", "bath tub: [3]"), 13, "3 is duck already"),
        (("ignore: [0]", "ignore: [4]"), 14, "4 is bath tub already"),
        (("ignore: [0]", "name: again"), 14, "name: is there twice, first in line 1"),
        (("ignore: [0]", "ignore: [0"), 15, "not YAML"),
        (("ignore: [0]", "\tignore: [0]"), 14, "not YAML"),
        (("images: more/*.png", "images: *.png"), 6, "not YAML: .*: put a text that begins with . in quotes"),
        (("name: toys", "name: 2024-99-99"), 1, "name: not YAML: month must be in 1..12: put it in quotes"),
    ],
)
def test_mistakes_are_pointed_at(tmp_path, change, line, said):
    assert change[0] in PLAIN
    with pytest.raises(UsageError, match=said) as caught:
        _describe(tmp_path, PLAIN.replace(*change, 1))
    assert str(caught.value).startswith(f"{tmp_path}/toys.yaml:{line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("- a", "a mapping .* is expected, not a list")])
def test_no_description_at_all(tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        _describe(tmp_path, text)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        description.read(tmp_path / "other.yaml")


def test_what_shows_only_with_the_data(tmp_path, toys):
    described = _describe(tmp_path, PLAIN.replace("more/*.png", "less/*.png"))
    with pytest.raises(UsageError, match=r"toys.yaml:6: splits.test.images: no image below .*raw matches less/\*.png"):
        custom.find(tmp_path / "raw", described)
    described = _describe(tmp_path, PLAIN.replace("more/*.png", "'pictures/a/?.png'"))
    with pytest.raises(UsageError, match="toys.yaml:6: .*pictures/a/1.png is in split train already"):
        custom.find(tmp_path / "raw", described)
    with pytest.raises(UsageError, match=r"expected pictures/\*/\*.png and pictures/a/\?.png"):
        custom.find(tmp_path / "nowhere", described)


COLORS = {(255, 255, 0): 0, (1, 2, 3): 1, (3, 2, 1): 1, (0, 0, 0): 255}
RGB = """\
name: toys
splits: {val: {images: "*.png", labels: "labels/*.png"}}
labels: rgb
classes: [{name: duck, color: [255, 255, 0]}, {name: tub, color: [9, 9, 9]}]
map:
  duck: [[255, 255, 0]]
  tub: [[1, 2, 3], [3, 2, 1]]
ignore: [[0, 0, 0]]
"""


def test_rgb(tmp_path):
    colors = np.array(list(COLORS), np.uint8)[raw_sets.ids(0, range(4))]
    _save(tmp_path / "raw/1.png", raw_sets.image(1))
    _save(tmp_path / "raw/labels/1.png", colors)
    raw = custom.find(tmp_path / "raw", _describe(tmp_path, RGB))
    expected = [[COLORS[tuple(color)] for color in row] for row in colors.tolist()]
    assert raw.labels.decode((tmp_path / "raw/labels/1.png").read_bytes()).tolist() == expected
    assert raw.training_split == "val"
    colors[0, 0] = (1, 2, 4)
    _save(tmp_path / "raw/labels/1.png", colors)
    with pytest.raises(MsdaError, match=r"unknown colours \(1, 2, 4\)"):
        convert.prepare(raw, output=tmp_path, name="toys")
    lenient = custom.find(tmp_path / "raw", _describe(tmp_path, RGB.replace("[[0, 0, 0]]", "rest")))
    assert lenient.labels.decode((tmp_path / "raw/labels/1.png").read_bytes())[0, 0] == 255
    with pytest.raises(UsageError, match=r"tub\[1\]: \(1, 2, 3\) is tub already"):
        _describe(tmp_path, RGB.replace("[3, 2, 1]", "[1, 2, 3]"))


@pytest.mark.parametrize(
    ("mode", "said"),
    [("L", "a grey image where an image of class colours is due"), ("I;16", "16 bits|grey"), (None, "a JPEG file")],
)
def test_what_is_no_colour_label(tmp_path, mode, said):
    path = tmp_path / ("a.png" if mode else "a.jpg")
    _save(path, np.zeros((5, 9) if mode else (5, 9, 3), np.uint16 if mode == "I;16" else np.uint8))
    with pytest.raises(BadFrame, match=said):
        ColorLabels(COLORS, rest_ignored=True).decode(path.read_bytes())


@pytest.mark.parametrize(("encoding", "found"), [("ids", "palette"), ("palette", "grey")])
def test_encodings_are_not_mixed_up(tmp_path, encoding, found):
    picture = Image.fromarray(raw_sets.ids(0, (0, 3, 4)))
    if found == "palette":
        picture = picture.convert("P")
    _save(tmp_path / "raw/pictures/a/1.png", raw_sets.image(1))
    _save(tmp_path / "raw/more/1.png", raw_sets.image(1))
    (tmp_path / "raw/answers/a").mkdir(parents=True)
    picture.save(tmp_path / "raw/answers/a/1_ids.png")
    described = _describe(tmp_path, PLAIN.replace("labels: ids", f"labels: {encoding}"))
    with pytest.raises(MsdaError, match=f"a {found} image where a .* one is due"):
        convert.prepare(custom.find(tmp_path / "raw", described), output=tmp_path, name="toys")


MAP = """\
classes: [{name: ground, color: [9, 9, 9]}, {name: rest of it, color: [1, 1, 1]}]
map:
  ground: [road, sidewalk, terrain]
  rest of it: [sky, building]
ignore: rest
"""


def test_class_map(tmp_path):
    made = raw_sets.gta5(tmp_path / "raw", 2)
    (tmp_path / "map.yaml").write_text(MAP)
    raw = class_map.apply(gta5.find(tmp_path / "raw"), tmp_path / "map.yaml")
    assert raw.classes.names == ("ground", "rest of it")
    new = dict.fromkeys(range(256), 255) | {0: 0, 1: 0, 9: 0, 10: 1, 2: 1}
    for frame in raw.frames:
        expected = raw_sets.mapped(made[frame.name][1], new)
        np.testing.assert_array_equal(raw.labels.decode(frame.label.read_bytes()), expected)
    manifest = convert.prepare(raw, output=tmp_path, name="a").manifest
    assert len(manifest.splits["train"].class_pixels) == 2
    with pytest.raises(UsageError, match="class_map"):
        convert.prepare(gta5.find(tmp_path / "raw"), output=tmp_path, name="a")


def test_class_map_for_unlabelled_images(tmp_path):
    _save(tmp_path / "raw/a.png", raw_sets.image(0))
    (tmp_path / "map.yaml").write_text(MAP)
    raw = class_map.apply(folder.find(tmp_path / "raw"), tmp_path / "map.yaml")
    assert convert.prepare(raw, output=tmp_path, name="a").manifest.classes.names == ("ground", "rest of it")


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("building]", "castle]"), 4, r"map.rest of it\[1\]: gta5 has no class 'castle'; it has road, "),
        (("ignore: rest\n", ""), 2, "wall, fence, .* of gta5 become no class: add them here or to ignore"),
        (("building]", "road]"), 4, "road is ground already"),
        (("map:", "maps:"), 2, "maps: there is no such key"),
    ],
)
def test_mistakes_in_class_maps(tmp_path, change, line, said):
    raw_sets.gta5(tmp_path / "raw", 1)
    (tmp_path / "map.yaml").write_text(MAP.replace(*change))
    with pytest.raises(UsageError, match=said) as caught:
        class_map.apply(gta5.find(tmp_path / "raw"), tmp_path / "map.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/map.yaml:{line}: ")


def test_the_files_in_the_documentation_are_right(tmp_path):
    text = DOCUMENTATION.read_text()
    whole, classes, class_map_file = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert description.read(_saved(tmp_path, whole)).rules.train_ids == {1: 0, 2: 0, 7: 10, 0: 255, 255: 255}
    own = re.sub("classes: cityscapes.*?(?=ignore)", classes, whole, flags=re.DOTALL).replace("[0, 255]", "[255]")
    assert description.read(_saved(tmp_path, own)).rules.classes.names == ("drivable", "obstacle")
    raw_sets.gta5(tmp_path / "raw", 1)
    raw = class_map.apply(gta5.find(tmp_path / "raw"), _saved(tmp_path, class_map_file))
    assert raw.classes.names == ("drivable", "obstacle")


def _saved(tmp_path, text):
    (tmp_path / "file.yaml").write_text(text)
    return tmp_path / "file.yaml"


def test_two_classes_of_one_colour(tmp_path):
    """Without map, the last of them would take the pixels of both without a word."""
    text = PLAIN.replace("labels: ids", "labels: rgb").replace("[200, 200, 255]", "[255, 255, 0]")
    alike = text[: text.index("map:")]
    with pytest.raises(UsageError, match=r"toys.yaml:8: classes: duck and bath tub are both \[255, 255, 0\]"):
        _describe(tmp_path, alike)
    told = alike + "map: {duck: [[255, 255, 0]], bath tub: [[1, 2, 3]]}\n"
    assert _describe(tmp_path, told).rules.train_ids == {(255, 255, 0): 0, (1, 2, 3): 1}
    assert _describe(tmp_path, alike.replace("labels: rgb", "labels: ids")).rules.train_ids == {0: 0, 1: 1}
