"""Finding the frames, labels and splits of each raw data set, and saying what is wrong with a folder."""

import cv2
import numpy as np
import pytest
import raw_sets
from PIL import Image

from msda_tf.data_prep.readers import cityscapes, folder, gta5, synthia
from msda_tf.errors import UsageError

FINDERS = {"gta5": gta5.find, "synthia": synthia.find, "cityscapes": cityscapes.find, "folder": folder.find}


def _names(raw, split):
    return [frame.name for part in raw.parts if part.name in raw.splits[split] for frame in part.frames]


def test_gta5(tmp_path):
    made = raw_sets.gta5(tmp_path / "raw", 7)
    raw = gta5.find(tmp_path / "raw", test_frames=3)
    assert _names(raw, "train") == sorted(made)
    assert _names(raw, "test") == sorted(made)[:3]
    assert raw.training_split == "train"
    assert raw.evaluation_split == "test"
    for frame in raw.frames:
        np.testing.assert_array_equal(raw.labels.decode(frame.label.read_bytes()), made[frame.name][1])


def test_synthia(tmp_path):
    made = raw_sets.synthia(tmp_path / "raw" / "RAND_CITYSCAPES", 4)
    for root in (tmp_path / "raw", tmp_path / "raw" / "RAND_CITYSCAPES"):
        raw = synthia.find(root, test_frames=1)
        assert _names(raw, "train") == sorted(made)
        assert _names(raw, "test") == sorted(made)[:1]
        for frame in raw.frames:
            np.testing.assert_array_equal(raw.labels.decode(frame.label.read_bytes()), made[frame.name][1])


def test_synthia_lane_marking_as_road(tmp_path):
    raw_sets.synthia(tmp_path / "raw", 1)
    label = raw_sets.ids(0, raw_sets.SYNTHIA)
    raw = synthia.find(tmp_path / "raw", lane_marking="road")
    content = raw.frames[0].label.read_bytes()
    expected = raw_sets.mapped(label, raw_sets.SYNTHIA | {22: 0})
    np.testing.assert_array_equal(raw.labels.decode(content), expected)


def test_cityscapes(tmp_path):
    made = raw_sets.cityscapes(tmp_path / "raw", {"train": 3, "val": 2, "test": 1})
    raw = cityscapes.find(tmp_path / "raw")
    assert {split: len(_names(raw, split)) for split in raw.splits} == {"train": 3, "val": 2, "test": 1}
    assert (raw.training_split, raw.evaluation_split) == ("train", "val")
    assert [part.labelled for part in raw.parts] == [True, True, False]
    assert sorted(frame.name for frame in raw.frames) == sorted(made)
    for frame in raw.frames:
        if frame.label:
            np.testing.assert_array_equal(raw.labels.decode(frame.label.read_bytes()), made[frame.name][1])


@pytest.mark.parametrize(
    ("splits", "training", "evaluation"),
    [({"train": 1}, "train", "train"), ({"val": 1}, "val", "val"), ({"test": 1}, "test", None)]
    + [({"train": 1, "test": 1}, "train", "train"), ({"val": 1, "test": 1}, "val", "val")],
)
def test_cityscapes_with_some_splits(tmp_path, splits, training, evaluation):
    raw_sets.cityscapes(tmp_path / "raw", splits)
    raw = cityscapes.find(tmp_path / "raw")
    assert (raw.training_split, raw.evaluation_split) == (training, evaluation)
    assert bool(raw.notices) == ((training, evaluation) != ("train", "val"))


def test_cityscapes_without_labels(tmp_path):
    raw_sets.cityscapes(tmp_path / "raw", {"train": 2})
    (tmp_path / "raw/gtFine").rename(tmp_path / "gtFine")
    raw = cityscapes.find(tmp_path / "raw")
    assert (raw.parts[0].labelled, raw.evaluation_split) == (False, None)
    assert "stored without labels" in raw.notices[0]


def _rename_all(folder, old, new):
    for path in list(folder.rglob(f"*{old}*")):
        path.rename(path.with_name(path.name.replace(old, new)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        # The coarse set, the extra images, trainIds instead of ids, the labels alone.
        (
            lambda root: (root / "gtFine").rename(root / "gtCoarse"),
            "gtCoarse holds Cityscapes' coarse labels",
        ),
        (
            lambda root: [path.rename(path.with_name("train_extra")) for path in root.glob("leftImg8bit/train")],
            "gtFine/train holds 2 labels, but .*leftImg8bit/train no image: unpack leftImg8bit_trainvaltest.zip",
        ),
        (
            lambda root: _rename_all(root, "_labelIds", "_labelTrainIds"),
            "gtFine/train holds 2 files such as aachen/.*_labelTrainIds.png, but no .*_gtFine_labelIds.png: these",
        ),
    ],
)
def test_nearly_cityscapes(tmp_path, spoil, said):
    raw_sets.cityscapes(tmp_path / "raw", {"train": 2})
    spoil(tmp_path / "raw")
    with pytest.raises(UsageError, match=said) as caught:
        cityscapes.find(tmp_path / "raw")
    assert "\n" not in str(caught.value)


def test_cityscapes_extra_images_alone(tmp_path):
    raw_sets.cityscapes(tmp_path / "raw", {"train_extra": 1})
    with pytest.raises(
        UsageError, match="no image of train, val or test .train_extra is there, which has coarse labels"
    ):
        cityscapes.find(tmp_path / "raw")


def test_cityscapes_other_files_beside_the_ids_are_left_alone(tmp_path):
    """As after csCreateTrainIdLabelImgs, and with the coarse set unpacked beside."""
    made = raw_sets.cityscapes(tmp_path / "raw", {"train": 2, "val": 1})
    for path in list((tmp_path / "raw/gtFine").rglob("*_labelIds.png")):
        Image.fromarray(np.zeros((65, 129), np.uint8)).save(str(path).replace("_labelIds", "_labelTrainIds"))
        path.with_name("gtFine_polygons.json").write_text("{}")
    (tmp_path / "raw/gtCoarse/train/aachen").mkdir(parents=True)
    raw = cityscapes.find(tmp_path / "raw")
    assert (raw.notices, raw.rejected) == ((), ())
    for frame in raw.frames:
        np.testing.assert_array_equal(raw.labels.decode(frame.label.read_bytes()), made[frame.name][1])


def test_folder(tmp_path):
    for name in ("b.png", "a/2.jpg", "a/10.JPEG", "a/._2.jpg", "notes.txt"):
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / name).touch()
    raw = folder.find(tmp_path / "raw")
    assert _names(raw, "train") == ["a/10.JPEG", "a/2.jpg", "b.png"]
    assert (raw.training_split, raw.evaluation_split) == ("train", None)


def test_linked_folders_are_followed(tmp_path):
    raw_sets.cityscapes(tmp_path / "disk", {"val": 2})
    (tmp_path / "raw").mkdir()
    for name in ("leftImg8bit", "gtFine"):
        (tmp_path / "raw" / name / "val").mkdir(parents=True)
        for city in (tmp_path / "disk" / name / "val").iterdir():
            (tmp_path / "raw" / name / "val" / city.name).symlink_to(city)
    assert len(cityscapes.find(tmp_path / "raw").frames) == 2


@pytest.mark.parametrize("dataset", FINDERS)
@pytest.mark.parametrize("state", ["does not exist", "is empty", "is not a folder", "other content"])
def test_no_data_set(tmp_path, dataset, state):
    root = tmp_path / "raw"
    if state == "is not a folder":
        root.touch()
    elif state != "does not exist":
        root.mkdir()
    if state == "other content":
        (root / "readme.txt").touch()
    with pytest.raises(UsageError) as caught:
        FINDERS[dataset](root)
    message = str(caught.value)
    assert str(root) in message
    assert "\n" not in message
    if state != "other content":
        assert state in message
    assert {
        "gta5": "download.visinf.tu-darmstadt.de",
        "synthia": "synthia-dataset.net",
        "cityscapes": "cityscapes-dataset.com",
        "folder": "PNG or JPEG images",
    }[dataset] in message
    assert {"gta5": "labels/", "synthia": "GT/LABELS/", "cityscapes": "gtFine/", "folder": ""}[dataset] in message


def test_partners_and_doubles(tmp_path):
    root = tmp_path / "raw"
    raw_sets.gta5(root, 4)
    (root / "labels/00002.png").unlink()
    (root / "images/00003.png").unlink()
    (root / "images/00004.PNG").write_bytes((root / "images/00004.png").read_bytes())
    raw = gta5.find(root, test_frames=2)
    assert {(bad.frame, bad.reason) for bad in raw.rejected} == {
        ("images/00002.png", "image without label"),
        ("labels/00003.png", "label without image"),
        ("images/00004.png", "double: the same name as images/00004.PNG"),
    }
    # The test split is among the first two images, whether they are usable or not.
    assert _names(raw, "test") == ["images/00001.png"]
    assert _names(raw, "train") == ["images/00001.png", "images/00004.PNG"]


def test_doubles_in_two_cities(tmp_path):
    raw_sets.cityscapes(tmp_path / "raw", {"val": 2})
    for kind in ("leftImg8bit", "gtFine"):
        city = tmp_path / "raw" / kind / "val" / "cologne"
        city.mkdir()
        for file in (tmp_path / "raw" / kind / "val" / "aachen").iterdir():
            (city / file.name).write_bytes(file.read_bytes())
    raw = cityscapes.find(tmp_path / "raw")
    assert len(raw.frames) == 2
    assert [bad.reason[:6] for bad in raw.rejected] == ["double"] * 2


def test_fewer_frames_than_the_test_split_takes(tmp_path):
    raw_sets.gta5(tmp_path / "raw", 3)
    raw = gta5.find(tmp_path / "raw")
    assert _names(raw, "train") == _names(raw, "test")
    assert "--test-frames" in raw.notices[0]


@pytest.mark.parametrize(
    "path",
    ["RGB/Stereo_Left/Omni_F/000000.png", "GTTXT/a.txt", "SEQ1/RGBLeft/0000001.png", "RGB/ap_000_Rand_8.png"]
    + ["SYNTHIA-SEQS-01-DAWN/RGB/Stereo_Left/Omni_B/000000.png"],
)
def test_other_synthia_releases(tmp_path, path):
    (tmp_path / "raw" / path).parent.mkdir(parents=True)
    (tmp_path / "raw" / path).touch()
    with pytest.raises(UsageError, match="not SYNTHIA-RAND-CITYSCAPES .*other SYNTHIA releases"):
        synthia.find(tmp_path / "raw")


CITYSCAPES_OF_SYNTHIA = {value: key for key, value in raw_sets.CITYSCAPES.items() if value != 255} | {255: 0}


@pytest.mark.parametrize("place", ["GT/LABELS", "parsed_LABELS", "synthia_mapped_to_cityscapes"])
@pytest.mark.parametrize("numbering", ["SYNTHIA ids", "Cityscapes ids", "trainIds"])
def test_parsed_labels(tmp_path, place, numbering):
    """8-bit labels are recognised by their ids, not by the folder's name: scripts disagree about it."""
    root = tmp_path / "raw"
    (root / "RGB").mkdir(parents=True)
    (root / place).mkdir(parents=True)
    original = raw_sets.ids(0, raw_sets.SYNTHIA)
    train_ids = raw_sets.mapped(original, raw_sets.SYNTHIA)
    values = {
        "SYNTHIA ids": original,
        "trainIds": train_ids,
        "Cityscapes ids": raw_sets.mapped(train_ids, CITYSCAPES_OF_SYNTHIA),
    }[numbering]
    Image.fromarray(raw_sets.image(0)).save(root / "RGB/0000000.png")
    Image.fromarray(values).save(root / place / "0000000.png")
    raw = synthia.find(root)
    assert numbering in raw.notices[0]
    np.testing.assert_array_equal(raw.labels.decode((root / place / "0000000.png").read_bytes()), train_ids)
    if numbering == "SYNTHIA ids":
        synthia.find(root, lane_marking="road")
    else:
        with pytest.raises(UsageError, match="lane markings are already gone"):
            synthia.find(root, lane_marking="road")


@pytest.mark.parametrize("present", [{0, 1, 2, 3}, {0, 5, 15, 255}, {0, 18, 40}, {255}, {19, 255}])
def test_numberings_that_cannot_be_told(tmp_path, present):
    assert synthia.numbering(present) is None
    raw_sets.synthia(tmp_path / "raw", 1)
    Image.fromarray(raw_sets.ids(0, present)).save(tmp_path / "raw/GT/LABELS/0000000.png")
    with pytest.raises(UsageError, match="no numbering that can be told"):
        synthia.find(tmp_path / "raw")


def test_original_labels_come_first(tmp_path):
    raw_sets.synthia(tmp_path / "raw", 1)
    (tmp_path / "raw/parsed_LABELS").mkdir()
    cv2.imwrite(str(tmp_path / "raw/parsed_LABELS/0000000.png"), np.zeros((65, 129), np.uint8))
    assert synthia.find(tmp_path / "raw").rules["labels"] == "original"
