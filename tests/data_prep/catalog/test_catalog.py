"""The catalogue: each data set in each of its layouts, pixel by pixel, against tables typed from published loaders."""

import json

import cv2
import numpy as np
import published_tables as tables
import pytest
import raw_sets
from PIL import Image

from msda_tf.data import class_counts
from msda_tf.data import manifest as manifests
from msda_tf.data_prep import catalog
from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.labels import class_map, named_lists
from msda_tf.data_prep.readers import READERS, custom, description, frames
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import CITYSCAPES_CLASSES

ACDC = "rgb_anon/{c}/{s}/GOPR0475/GOPR0475_frame_000041_rgb_anon.png"
ACDC_LABEL = "gt/{c}/{s}/GOPR0475/GOPR0475_frame_000041_gt_labelTrainIds.png"
MUSES = "frame_camera/{s}/{w}/{t}/REC0006_frame_042875_frame_camera.png"
MUSES_LABEL = "gt_semantic/{s}/{w}/{t}/REC0006_frame_042875_gt_labelTrainIds.png"
DARK = "rgb_anon/{s}/{t}/GOPR0351/GOPR0351_frame_000001_rgb_anon.png"
IDD = "leftImg8bit/{s}/{d}/frame{d}_leftImg8bit.{e}"
IDD_LABEL = "gtFine/{s}/{d}/frame{d}_gtFine_polygons.json"
SHIFT = "discrete/images/{s}/front/{i}007b-4e72/00000010_img_front.jpg"
SHIFT_LABEL = "discrete/images/{s}/front/{l}007b-4e72/00000010_semseg_front.png"
A2D2 = "20180807_145028/camera/cam_front_center/20180807145028_camera_frontcenter_000000091.png"
A2D2_LABEL = "20180807_145028/label/cam_front_center/20180807145028_label_frontcenter_000000091.png"


def _vistas(train_labels, val_labels):
    return {
        "train": [("training/images/-_1.jpg", f"training/{train_labels}/-_1.png")],
        "val": [("validation/images/b.jpg", f"validation/{val_labels}/b.png")],
        "test": [("testing/images/c.jpg", None)],
    }


# Data set, its layout, how labels are encoded, what values mean, and files by split, as its publishers describe them.
LAYOUTS = {
    "acdc": (
        "ids",
        tables.TRAIN_IDS,
        {s: [(ACDC.format(c=c, s=s), ACDC_LABEL.format(c=c, s=s)) for c in ("fog", "night")] for s in ("train", "val")}
        | {"test": [(ACDC.format(c="snow", s="test"), None)]},
    ),
    "acdc flattened": (
        "ids",
        tables.TRAIN_IDS,
        {s: [(f"rgb_anon/{s}/a_rgb_anon.png", f"gt/{s}/a_gt_labelTrainIds.png")] for s in ("train", "val")},
    ),
    "dark_zurich": (
        "ids",
        tables.TRAIN_IDS,
        {
            "train": [(DARK.format(s="train", t="night"), None)],
            "train_day": [(DARK.format(s="train", t="day"), None)],
            "train_twilight": [(DARK.format(s="train", t="twilight"), None)],
            "val": [
                (
                    "rgb_anon/val/night/GOPR0356/GOPR0356_frame_000324_rgb_anon.png",
                    "gt/val/night/GOPR0356/GOPR0356_frame_000324_gt_labelTrainIds.png",
                )
            ],
        },
    ),
    "urbansyn": ("ids", tables.URBANSYN, {"train": [("rgb/rgb_0001.png", "ss/ss_0001.png")]}),
    "synscapes": ("ids", tables.CITYSCAPES, {"train": [("img/rgb/1.png", "img/class/1.png")]}),
    "synscapes 2k": ("ids", tables.CITYSCAPES, {"train": [("img/rgb-2k/1.png", "img/class/1.png")]}),
    "muses": (
        "ids",
        tables.TRAIN_IDS,
        {
            s: [
                (MUSES.format(s=s, w=w, t=t), MUSES_LABEL.format(s=s, w=w, t=t))
                for w, t in (("clear", "day"), ("fog", "night"))
            ]
            for s in ("train", "val", "test")
        },
    ),
    "wilddash2": ("ids", tables.WILDDASH, {"train": [("images/aa_1.jpg", "labels/aa_1.png")]}),
    "wilddash2_panoptic": (
        "panoptic",
        tables.WILDDASH_PANOPTIC,
        {"train": [(f"images/aa_{n}.jpg", f"panoptic/aa_{n}.png") for n in (1, 2)]},
    ),
    "wilddash2 cityscapes-19-vfm": ("ids", tables.WILDDASH_VFM, {"train": [("images/aa_1.jpg", "labels/aa_1.png")]}),
    "bdd100k": (
        "ids",
        tables.TRAIN_IDS,
        {s: [(f"images/10k/{s}/0.jpg", f"labels/sem_seg/masks/{s}/0.png")] for s in ("train", "val")}
        | {"test": [("images/10k/test/0.jpg", None)]},
    ),
    "bdd100k of old": (
        "ids",
        tables.TRAIN_IDS,
        {s: [(f"seg/images/{s}/0.jpg", f"seg/labels/{s}/0_train_id.png")] for s in ("train", "val")},
    ),
    "mapillary_vistas": ("palette", tables.MAPILLARY, _vistas("labels", "labels")),
    "mapillary_vistas in 2.0": ("palette", tables.MAPILLARY, _vistas("v1.2/labels", "v1.2/labels")),
    "mapillary_vistas cityscapes-19-rein": ("palette", tables.MAPILLARY_REIN, _vistas("labels", "labels")),
    "mapillary_vistas_2": ("palette", tables.MAPILLARY_2, _vistas("v2.0/labels", "v2.0/labels")),
    **{
        f"idd{classes}": (
            "polygons",
            table,
            {
                s: [(IDD.format(s=s, d=d, e=e), IDD_LABEL.format(s=s, d=d)) for d, e in ((7, "png"), (500, "jpg"))]
                for s in ("train", "val")
            }
            | {"test": [(IDD.format(s="test", d=9, e="jpg"), None)]},
        )
        for classes, table in (("", tables.IDD), (" idd-7", tables.IDD_7), (" idd-26", tables.IDD_26))
    },
    "idd_lite": (
        "ids",
        {number: number for number in range(7)} | {255: 255},
        {s: [(f"leftImg8bit/{s}/4/9_image.jpg", f"gtFine/{s}/4/9_label.png")] for s in ("train", "val")}
        | {"test": [("leftImg8bit/test/4/9_image.jpg", None)]},
    ),
    "kitti": (
        "ids",
        tables.CITYSCAPES,
        {
            "train": [("training/image_2/000000_10.png", "training/semantic/000000_10.png")],
            "test": [("testing/image_2/000000_10.png", None)],
        },
    ),
    **{
        f"camvid{classes}": (
            "rgb",
            table,
            {s: [(f"{s}/0016E5_00390.png", f"{s}_labels/0016E5_00390_L.png")] for s in ("train", "val", "test")},
        )
        for classes, table in (("", tables.CAMVID), (" cityscapes-19", tables.CAMVID_19))
    },
    "a2d2": (
        "rgb",
        tables.A2D2,
        {"train": [(f"camera_lidar_semantic/{A2D2}", f"camera_lidar_semantic/{A2D2_LABEL}")]},
    ),
    "a2d2 inner folder": ("rgb", tables.A2D2, {"train": [(A2D2, A2D2_LABEL)]}),
    "viper": (
        "palette",
        tables.VIPER,
        {
            s: [(f"{s}/img/001/001_0000{n}.{e}", f"{s}/cls/001/001_0000{n}.png") for n, e in ((1, "jpg"), (2, "png"))]
            for s in ("train", "val")
        },
    ),
    "shift": (
        "rgba",
        tables.OLD_CARLA,
        {s: [(SHIFT.format(s=s, i="img/"), SHIFT_LABEL.format(s=s, l="semseg/"))] for s in ("train", "val")},
    ),
    "shift together": (
        "rgba",
        tables.OLD_CARLA,
        {s: [(SHIFT.format(s=s, i=""), SHIFT_LABEL.format(s=s, l=""))] for s in ("train", "val")},
    ),
    "carla": ("rgba", tables.CARLA, {"train": [("rgb/town1/7.png", "semantic/town1/7.png")]}),
    "carla grey": ("ids", tables.CARLA, {"train": [("rgb/7.jpg", "semantic/7.png")]}),
    "carla_0_9_13": ("rgba", tables.OLD_CARLA, {"train": [("rgb/7.png", "semantic/7.png")]}),
}


def _write_label(path, encoding, values, chosen):
    """`chosen` holds positions in `values`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if encoding == "polygons":
        blocks = [(y, x) for y in range(0, chosen.shape[0], 4) for x in range(0, chosen.shape[1], 4)]
        objects = [
            {"label": values[chosen[y, x]], "polygon": [[x, y], [x + 3, y], [x + 3, y + 3], [x, y + 3]]}
            for y, x in blocks
        ]
        content = {"imgHeight": chosen.shape[0], "imgWidth": chosen.shape[1], "objects": objects}
        path.write_text(json.dumps(content))
        return
    if encoding == "panoptic":
        _write_segments(path, values, chosen)
        return
    label = np.array(values, np.uint8)[chosen]
    if encoding == "rgba":  # CARLA: green and blue are instances, or nothing
        label = np.dstack([label, label // 2, 255 - label, np.full_like(label, 255)])
    picture = Image.fromarray(label)
    if encoding == "palette":
        picture = picture.convert("P")
        picture.putpalette(bytes(range(256)) * 3)
    picture.save(path)


def _write_segments(path, values, chosen):
    """Two segments of every value, and one that no table names: 0."""
    halves = np.arange(chosen.size).reshape(chosen.shape) % 2
    ids = [[70000 + 300 * position + half for half in (0, 1)] for position in range(len(values))]
    segments = np.array(ids)[chosen, halves]
    segments[chosen == 0] = 0  # the first value is void
    Image.fromarray(np.dstack([segments % 256, segments // 256 % 256, segments // 65536]).astype(np.uint8)).save(path)
    table = path.parent.with_suffix(".json")
    content = json.loads(table.read_text()) if table.exists() else {"categories": [], "annotations": []}
    infos = [{"id": each, "category_id": value} for value, pair in zip(values, ids, strict=True) for each in pair]
    content["annotations"].append({"file_name": path.name, "image_id": 1, "segments_info": infos})
    table.write_text(json.dumps(content))


def _make(root, encoding, table, splits):
    """Writes a raw data set; returns the trainIds of each image by its name."""
    values, made = list(table), {}
    for pairs in splits.values():
        for number, (image, label) in enumerate(pairs):
            path = root / image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(raw_sets.image(number)).save(path)
            if label:
                chosen = raw_sets.ids(number, range(len(values)))
                _write_label(root / label, encoding, values, chosen)
                made[image] = np.array([table[value] for value in values], np.uint8)[chosen]
    return made


def _prepared(root, output, dataset, classes=None):
    described = description.read(catalog.path(dataset))
    if classes in described.other_classes:
        described = described.with_classes(classes)
    raw = custom.find(root, described, kind=dataset)
    return raw, convert.prepare(raw, output=output, name=dataset, workers=1).manifest


@pytest.mark.parametrize("case", LAYOUTS)
def test_pixels_in_every_layout(tmp_path, case):
    encoding, table, splits = LAYOUTS[case]
    dataset, _, variant = case.partition(" ")
    made = _make(tmp_path / "raw", encoding, table, splits)
    raw, manifest = _prepared(tmp_path / "raw", tmp_path, dataset, variant)
    assert manifest.kind == dataset
    assert raw.rejected == ()
    assert {name: manifest.splits[name].examples for name in splits} == {s: len(pairs) for s, pairs in splits.items()}
    for frame in raw.frames:
        assert (frame.label is None) == (frame.name not in made)
        if frame.label:
            reader = frames.reader_of(raw.labels, frame.label)
            np.testing.assert_array_equal(reader.decode(frame.label.read_bytes()), made[frame.name])
    for split, pairs in splits.items():
        assert manifest.splits[split].labelled == (pairs[0][1] is not None)
        if manifest.splits[split].labelled:
            expected = sum(np.bincount(made[image].ravel(), minlength=256) for image, _ in pairs)
            assert list(manifest.splits[split].class_pixels) == expected[: len(manifest.classes)].tolist()
            assert len(class_counts.read(manifest, split)) == len(pairs)


def test_every_data_set_is_tried():
    tried = {case.split(" ")[0] for case in LAYOUTS}
    assert tried == set(catalog.names()) - set(READERS)
    for name in tried:
        described = catalog.entry(name).description
        assert described.name == name
        variants = {case.split(" ", 1)[1] for case in LAYOUTS if case.startswith(f"{name} ")}
        assert set(described.other_classes) <= variants
        about = described.about
        assert all((about.what, about.images, about.size, about.licence))
        assert about.files or about.get


@pytest.mark.parametrize("name", sorted(set(catalog.names()) & set(READERS)))
def test_those_with_a_reader_are_described_too(name):
    entry = catalog.entry(name)
    assert entry.description is None
    assert all((entry.layouts, entry.about.what, entry.about.images, entry.about.licence, entry.download))


def test_nineteen_classes_have_the_values_that_their_names_say():
    """Whoever has Cityscapes' classes has them with Cityscapes' names and colours."""
    for name in set(catalog.names()) - set(READERS):
        rules = catalog.entry(name).description.rules
        if len(rules.classes) == 19:
            assert rules.classes == CITYSCAPES_CLASSES
            assert rules.classes.names == tables.CLASSES


def test_conditions_are_splits(tmp_path):
    encoding, table, splits = LAYOUTS["muses"]
    _make(tmp_path / "raw", encoding, table, splits)
    raw, manifest = _prepared(tmp_path / "raw", tmp_path, "muses")
    assert (manifest.training_split, manifest.evaluation_split) == ("train", "val")
    assert raw.splits["val"] == ("val_clear_day", "val_fog_night")
    assert raw.splits["val_fog"] == raw.splits["val_night"] == ("val_fog_night",)
    assert {"val_clear", "val_day"} <= set(manifest.splits)
    shards = {shard.file for shard in manifest.splits["val"].shards}
    assert {shard.file for name in ("val_day", "val_night") for shard in manifest.splits[name].shards} == shards


def test_the_enlarged_synscapes_is_taken_where_labels_have_its_size(tmp_path):
    encoding, table, splits = LAYOUTS["synscapes"]
    _make(tmp_path / "raw", encoding, table, splits)
    raw, _ = _prepared(tmp_path / "raw", tmp_path, "synscapes")
    assert raw.frames[0].name == "img/rgb/1.png"
    (tmp_path / "raw/img/rgb-2k").mkdir()
    (tmp_path / "raw/img/rgb/1.png").rename(tmp_path / "raw/img/rgb-2k/1.png")
    Image.fromarray(raw_sets.image(0, 33, 65)).save(tmp_path / "raw/img/rgb/1.png")
    raw, _ = _prepared(tmp_path / "raw", tmp_path / "2", "synscapes")
    assert raw.frames[0].name == "img/rgb-2k/1.png"


def test_parts_may_be_missing(tmp_path):
    """Any subset of the splits will do, as for Cityscapes; without labels, a split is stored without."""
    encoding, table, splits = LAYOUTS["bdd100k"]
    _make(tmp_path / "raw", encoding, table, {"val": splits["val"]})
    raw, _ = _prepared(tmp_path / "raw", tmp_path, "bdd100k")
    assert (raw.training_split, raw.evaluation_split) == ("val", "val")
    assert "split train is not there: no image below" in raw.notices[0]
    (tmp_path / "raw/labels").rename(tmp_path / "labels")
    raw, manifest = _prepared(tmp_path / "raw", tmp_path / "2", "bdd100k")
    assert not manifest.splits["val"].labelled
    assert any("split val is stored without labels: nothing matches labels/sem_seg" in text for text in raw.notices)


def _move(root, old, new):
    (root / new).parent.mkdir(parents=True, exist_ok=True)
    (root / old).rename(root / new)


@pytest.mark.parametrize(
    ("case", "spoil", "said"),
    [
        # The wrong release.
        (
            "mapillary_vistas_2",
            ("mapillary_vistas", None),
            r"v2.0/labels/-_1.png belongs to Mapillary Vistas 2.0, not to",
        ),
        (
            "mapillary_vistas",
            ("mapillary_vistas_2", None),
            r"1.2, not to mapillary_vistas_2: use --dataset mapillary_vis",
        ),
        ("wilddash2", ("wilddash2_panoptic", None), r"aa_1.png belongs to the older public package, wd_public_02, not"),
        ("wilddash2_panoptic", ("wilddash2", None), r"newer public package, wd_public_v2p0, not to wilddash2: use --"),
        ("idd_lite", ("idd", None), r"9_image.jpg belongs to IDD-Lite, not to idd: use --dataset idd_lite"),
        ("idd", ("idd_lite", None), r"belongs to IDD's segmentation set .20k., not to idd_lite: use --dataset idd"),
        # Other labels than those that are read.
        (
            "acdc",
            ("acdc", lambda root: [path.rename(str(path).replace("TrainIds", "Ids")) for path in root.rglob("*_gt_*")]),
            r"gt holds 4 files such as gt/fog/.*_gt_labelIds.png, but none matches gt/.*/train/.*/.*_gt_labelTrainIds",
        ),
        # Labels without images.
        (
            "kitti",
            ("kitti", lambda root: _move(root, "training/image_2", "elsewhere")),
            r"split train of kitti has 1 labels .training/semantic/.*_10.png. but no image: training/image_2/.* is",
        ),
        # One folder too high, or something else altogether.
        ("a2d2", ("kitti", None), r"holds no image of kitti: found camera_lidar_semantic/, expected training/image_2/"),
        (
            "urbansyn",
            ("urbansyn", lambda root: (_move(root, "rgb", "in/rgb"), _move(root, "ss", "in/ss"))),
            r"raw is not the folder of urbansyn itself, but .*raw/in is: name that with --raw",
        ),
    ],
)
def test_what_is_found_and_what_was_expected(tmp_path, case, spoil, said):
    encoding, table, splits = LAYOUTS[case]
    _make(tmp_path / "raw", encoding, table, splits)
    dataset, change = spoil
    if change:
        change(tmp_path / "raw")
    with pytest.raises(UsageError, match=said) as caught:
        custom.find(tmp_path / "raw", description.read(catalog.path(dataset)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda value: value["annotations"].pop(), "aa_2.png: no annotation in the JSON file is of this file"),
        (lambda value: value["annotations"][1]["segments_info"].pop(), r"segment \d+ is not in the JSON file"),
        (lambda value: value["annotations"][1]["segments_info"][5].update(category_id=99), "unknown category 99 of"),
        (lambda value: value["annotations"][1]["segments_info"][5].update(category_id="x"), "'x' where a whole number"),
        (lambda value: value.pop("annotations"), "no JSON file of panoptic annotations"),
        (None, "panoptic.json does not exist: it says what the segments in the label files are"),
    ],
)
def test_segments_that_no_table_names(tmp_path, spoil, said):
    encoding, table, splits = LAYOUTS["wilddash2_panoptic"]
    _make(tmp_path / "raw", encoding, table, splits)
    path = tmp_path / "raw" / "panoptic.json"
    if spoil is None:
        path.unlink()
    else:
        value = json.loads(path.read_text())
        spoil(value)
        path.write_text(json.dumps(value))
    with pytest.raises(MsdaError, match=said) as caught:
        _prepared(tmp_path / "raw", tmp_path, "wilddash2_panoptic")
    assert "\n" not in str(caught.value)


def test_another_table_of_segments_is_another_input(tmp_path):
    encoding, table, splits = LAYOUTS["wilddash2_panoptic"]
    _make(tmp_path / "raw", encoding, table, splits)
    _prepared(tmp_path / "raw", tmp_path, "wilddash2_panoptic")
    path = tmp_path / "raw" / "panoptic.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(UsageError, match="force"):
        _prepared(tmp_path / "raw", tmp_path, "wilddash2_panoptic")


def test_ids_of_another_release_get_the_hint(tmp_path):
    _, _, splits = LAYOUTS["mapillary_vistas"]
    _make(tmp_path / "raw", "palette", {66: 0, 123: 0}, splits)
    with pytest.raises(MsdaError, match=r"unknown class ids 66, 123 .Mapillary Vistas 1.2 has the ids 0 to 65; 2.0 is"):
        _prepared(tmp_path / "raw", tmp_path, "mapillary_vistas")


def test_polygons_are_drawn_as_the_devkit_does(tmp_path):
    """In order, deleted ones left out, groups as their members; against OpenCV's drawing of the same shapes."""
    shapes = [("road", [[0, 20], [90, 20], [90, 64], [0, 64]]), ("cargroup", [[10, 10], [40, 10], [40, 40], [10, 40]])]
    shapes += [
        ("sky", [[0, 0], [5, 5]]),
        ("bus", [[60, 30], [80, 50], [60, 50]]),
        ("bus", [[0, 0], [128, 0], [128, 64]]),
    ]
    objects = [{"label": name, "polygon": points} for name, points in shapes]
    objects[-1]["deleted"] = 1
    data = json.dumps({"imgHeight": 65, "imgWidth": 129, "objects": objects}).encode()
    expected = np.full((65, 129), 255, np.uint8)
    for value, (_, points) in zip((0, 13, None, 15), shapes[:4], strict=True):
        if value is not None:
            cv2.fillPoly(expected, [np.array(points)], value)
    rules = catalog.entry("idd").description.rules
    from msda_tf.data_prep.labels.polygon_labels import PolygonLabels

    found = PolygonLabels(rules.train_ids, rules.rest_ignored).decode(data)
    assert (found != expected).mean() < 0.002  # the slanted edge
    np.testing.assert_array_equal(found[:, :55], expected[:, :55])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON file of polygons"),
        ("[]", "no JSON file of polygons"),
        ('{"imgHeight": 5, "imgWidth": 0, "objects": []}', "polygons for an image of 0x5 pixels"),
        (
            '{"imgHeight": 65, "imgWidth": 129, "objects": [{"label": "ufo", "polygon": [[0, 0]]}]}',
            "unknown class 'ufo'",
        ),
        ('{"imgHeight": 65, "imgWidth": 129, "objects": [{"polygon": 3}]}', "object 0 is no polygon with a label"),
        ('{"imgHeight": 64, "imgWidth": 129, "objects": []}', "the image is 129x65, its label 129x64 pixels"),
    ],
)
def test_bad_polygons(tmp_path, content, said):
    _, _, splits = LAYOUTS["idd"]
    image, label = splits["train"][0]
    for path in (tmp_path / "raw" / image, tmp_path / "raw" / label):
        path.parent.mkdir(parents=True)
    Image.fromarray(raw_sets.image(1)).save(tmp_path / "raw" / image)
    (tmp_path / "raw" / label).write_text(content)
    with pytest.raises(MsdaError, match=said) as caught:
        _prepared(tmp_path / "raw", tmp_path, "idd")
    assert "\n" not in str(caught.value)


# What the names of a list stand for in Cityscapes' trainIds, by hand.
IDD_7 = {0: 0, 1: 1, 2: 5, 3: 4, 4: 4, 5: 4, 6: 4, 7: 4, 8: 5, 9: 1, 10: 6, 11: 2, 12: 2} | dict.fromkeys(
    range(13, 19), 3
)
CAMVID_11 = {
    0: 3,
    1: 4,
    2: 1,
    3: 1,
    4: 7,
    5: 2,
    6: 6,
    7: 6,
    8: 5,
    9: 5,
    10: 0,
    11: 9,
    12: 10,
    13: 8,
    14: 8,
    15: 8,
    16: 8,
}
CAMVID_11 |= {17: 10, 18: 10}
SIXTEEN = [number for number in range(19) if number not in (9, 14, 16)]
THIRTEEN = [number for number in SIXTEEN if number not in (3, 4, 5)]


@pytest.mark.parametrize(
    ("classes", "table"),
    [
        ("cityscapes-19", {number: number for number in range(19)}),
        ("synthia-16", {number: SIXTEEN.index(number) if number in SIXTEEN else 255 for number in range(19)}),
        ("synthia-13", {number: THIRTEEN.index(number) if number in THIRTEEN else 255 for number in range(19)}),
        ("camvid-11", CAMVID_11),
        ("idd-7", IDD_7),
    ],
)
def test_class_lists(tmp_path, classes, table):
    """Cityscapes' 19 classes on every list, pixel by pixel."""
    assert classes in named_lists.names()
    made = _make(tmp_path / "raw", *LAYOUTS["kitti"])
    raw, _ = _prepared(tmp_path / "raw", tmp_path, "kitti")
    mapped = class_map.apply_list(raw, classes)
    for frame in raw.parts[0].frames:
        expected = raw_sets.mapped(made[frame.name], table | {255: 255})
        np.testing.assert_array_equal(mapped.labels.decode(frame.label.read_bytes()), expected)


def test_sources_and_targets_of_different_lists_meet(tmp_path):
    """19, 11 and 7 classes on one list; a list that a data set does not fit is refused."""
    lists = {}
    for case in ("kitti", "camvid", "idd_lite"):
        _make(tmp_path / case, *LAYOUTS[case])
        raw, _ = _prepared(tmp_path / case, tmp_path / "data", case)
        lists[case] = class_map.apply_list(raw, "idd-7").classes
    assert lists["kitti"] == lists["camvid"] == lists["idd_lite"]
    with pytest.raises(
        UsageError, match="drivable, .* of idd_lite belong to no class of cityscapes-19: .* --class-map"
    ):
        class_map.apply_list(raw, "cityscapes-19")
    raw, _ = _prepared(tmp_path / "camvid", tmp_path / "data", "camvid")
    with pytest.raises(UsageError, match="pavement, tree, sign, pedestrian, bicyclist of camvid belong to no class"):
        class_map.apply_list(raw, "synthia-16")


def test_a_list_says_what_a_data_set_lacks(tmp_path):
    (tmp_path / "raw").mkdir()
    Image.fromarray(raw_sets.image(0)).save(tmp_path / "raw/a.png")
    Image.fromarray(raw_sets.ids(0, (0, 1))).save(tmp_path / "raw/a_l.png")
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nsplits: {train: {images: '?.png', labels: '?_l.png'}}\n"
        "classes: [{name: road, color: [1, 1, 1]}, {name: sky, color: [2, 2, 2]}]\n"
    )
    raw = class_map.apply_list(custom.find(tmp_path / "raw", description.read(tmp_path / "mine.yaml")), "idd-7")
    assert raw.notices[-1] == "custom has no non-drivable, living thing, vehicle, roadside object, far object"


def test_a_throw_away_entry_costs_one_file(tmp_path, monkeypatch, capsys):
    """A data set without code of its own is one YAML file in the catalogue."""
    from msda_tf.cli import main as cli

    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "toys.yaml").write_text(
        "name: toys\nlayouts: {any: {train: {images: '*.jpg', labels: '*.png'}}}\nclasses: cityscapes\nignore: [255]\n"
    )
    monkeypatch.setattr(catalog, "FOLDER", folder)
    _make(tmp_path / "raw", "ids", tables.TRAIN_IDS, {"train": [("a.jpg", "a.png")]})
    cli.main(["prepare", "--dataset", "toys", "--raw", str(tmp_path / "raw"), "--output", str(tmp_path / "data")])
    assert manifests.find(tmp_path / "data", "toys").kind == "toys"
